<?php

namespace Tocsin\Bridge;

/**
 * The private folder (0700) that holds spool, state and settings, and the ways to write in it.
 */
final class Folder
{
    /** How long a page may wait for another process: after that it does without. */
    const WAIT_SECONDS = 0.05;

    private $path;

    private function __construct(string $path)
    {
        $this->path = $path;
    }

    /** @throws \RuntimeException that says what is wrong with the folder and what to do */
    public static function opened(string $path): self
    {
        if (!self::isPrivate($path)) {
            self::create($path);
        }
        return new self($path);
    }

    /** One lstat: cheap enough for every request. */
    public static function isPrivate(string $path): bool
    {
        $found = @lstat($path);
        return $found !== false && ($found['mode'] & 0170077) === 0040000 && self::isTrusted($path, $found['uid']);
    }

    /** Anyone may make a folder in the shared temporary folder; there it must be our own. */
    private static function isTrusted(string $path, int $owner): bool
    {
        return !Places::isTemporary($path) || !function_exists('posix_geteuid') || $owner === posix_geteuid();
    }

    private static function create(string $path): void
    {
        if (!is_dir($path)) {
            @mkdir($path, 0700, true);
        } elseif (!is_link($path)) {
            @chmod($path, 0700);
        }
        clearstatcache(true, $path);
        if (!self::isPrivate($path) || !is_writable($path)) {
            throw new \RuntimeException("The folder $path cannot be used: it must belong to the web server's user, "
                . 'with mode 0700. Make it so, or choose another folder in the settings.');
        }
        // If the folder lies inside the web root after all, Apache at least must not hand it out.
        @file_put_contents("$path/.htaccess", "Require all denied\nDeny from all\n");
    }

    public function path(string $name = ''): string
    {
        return $name === '' ? $this->path : $this->path . '/' . $name;
    }

    /** @return resource the file opened for reading and writing, made if need be */
    public function file(string $name)
    {
        $path = $this->path($name);
        $file = @fopen($path, 'r+b');
        if ($file === false) {
            $file = @fopen($path, 'x+b') ?: @fopen($path, 'r+b');
            $this->claim($path);
        }
        if ($file === false) {
            throw new \RuntimeException("$path cannot be opened. It must belong to the user that runs the web server, "
                . 'and the disk must not be full.');
        }
        stream_set_read_buffer($file, 0); // other processes write too: never answer from memory
        return $file;
    }

    /** New files are private, and belong to the folder's owner even when cron runs as root. */
    private function claim(string $path): void
    {
        @chmod($path, 0600);
        if (function_exists('posix_geteuid') && posix_geteuid() === 0) {
            @chown($path, (int) @fileowner($this->path));
            @chgrp($path, (int) @filegroup($this->path));
        }
    }

    /** @return resource|null the locked file; null if another process keeps it */
    public function lock(string $name, float $wait = self::WAIT_SECONDS)
    {
        $file = $this->file($name);
        return self::locked($file, $wait) ? $file : null;
    }

    /** A stopped process may hold a lock for ever: a page gives up after a short while. */
    public static function locked($file, float $wait): bool
    {
        if (flock($file, LOCK_EX | LOCK_NB)) {
            return true;
        }
        $until = microtime(true) + $wait;
        while (microtime(true) < $until) {
            usleep(random_int(100, 600));
            if (flock($file, LOCK_EX | LOCK_NB)) {
                return true;
            }
        }
        return false;
    }

    /** Replaces the content of an open file in place, which works on a full disk too. */
    public function rewrite($file, string $content): bool
    {
        return rewind($file) && fwrite($file, $content) === strlen($content) && ftruncate($file, strlen($content));
    }

    /** Replaces a file as a whole: a reader sees the old or the new content. */
    public function write(string $name, string $content): bool
    {
        $temporary = $this->path($name . '.' . bin2hex(random_bytes(4)) . '.tmp');
        $written = @file_put_contents($temporary, $content) === strlen($content);
        $this->claim($temporary);
        if ($written && @rename($temporary, $this->path($name))) {
            return true;
        }
        @unlink($temporary);
        return false;
    }

    public function read(string $name): string
    {
        return (string) @file_get_contents($this->path($name));
    }
}
