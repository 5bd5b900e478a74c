<?php

namespace Tocsin\Bridge;

/**
 * Where the private folder is looked for. Web pages, cron and `flush.php` must find the same one without a database,
 * so the answer depends on WHMCS's own folder only.
 */
final class Places
{
    /** WHMCS's folder under its real name, by which page views and the command line agree. */
    public static function root(string $default): string
    {
        $root = defined('ROOTDIR') ? ROOTDIR : $default;
        return realpath($root) ?: $root;
    }

    /** The folder that holds the settings file, or null before the first one was saved. */
    public static function found(string $root)
    {
        foreach (['besideRoot', 'besideAttachments', 'temporary'] as $place) {
            $path = self::$place($root);
            if ($path !== null && is_file($path . '/' . Settings::FILE)) {
                return $path;
            }
        }
        return null;
    }

    /** The folder that is in use already, else the best place for one: outside the web root if at all possible. */
    public static function chosen(string $root): string
    {
        foreach (['besideRoot', 'besideAttachments', 'temporary'] as $place) {
            $path = self::$place($root);
            if ($path !== null && Folder::isPrivate($path)) {
                return $path;
            }
        }
        foreach (['besideAttachments', 'besideRoot'] as $place) {
            $path = self::$place($root);
            if ($path !== null && !self::isServed($path, $root) && self::canHold($path)) {
                return $path;
            }
        }
        return self::temporary($root);
    }

    /** @return string[] what is wrong with this place, in words for the administrator */
    public static function warnings(string $path, string $root): array
    {
        $warnings = [];
        if (self::isTemporary($path)) {
            $warnings[] = "The spool lies in the temporary folder ($path), which may be emptied at a restart. "
                . 'Choose a folder outside the web root in the settings.';
        }
        if (self::isServed($path, $root)) {
            $warnings[] = "The spool lies inside the web root ($path). Choose a folder that the web server does not serve.";
        }
        return $warnings;
    }

    public static function isTemporary(string $path): bool
    {
        return self::isInside($path, sys_get_temp_dir());
    }

    private static function isServed(string $path, string $root): bool
    {
        $documents = $_SERVER['DOCUMENT_ROOT'] ?? '';
        return self::isInside($path, $root) || ($documents !== '' && self::isInside($path, $documents));
    }

    private static function isInside(string $path, string $folder): bool
    {
        $folder = rtrim((string) (realpath($folder) ?: $folder), '/') . '/';
        $parent = realpath(dirname($path)) ?: dirname($path);
        return strncmp($parent . '/' . basename($path) . '/', $folder, strlen($folder)) === 0;
    }

    private static function canHold(string $path): bool
    {
        return is_dir($path) ? is_writable($path) : is_dir(dirname($path)) && is_writable(dirname($path));
    }

    private static function besideRoot(string $root): string
    {
        return dirname($root) . '/' . self::name($root);
    }

    /** An attachments folder that was moved out of the web root shows where the administrator wants private files. */
    private static function besideAttachments(string $root)
    {
        $configuration = (string) @file_get_contents($root . '/configuration.php', false, null, 0, 65536);
        if (!preg_match('/^\s*\$attachments_dir\s*=\s*(["\'])(\/[^"\'$]+)\1\s*;/m', $configuration, $found)) {
            return null;
        }
        return dirname(rtrim($found[2], '/')) . '/' . self::name($root);
    }

    private static function temporary(string $root): string
    {
        return sys_get_temp_dir() . '/' . self::name($root);
    }

    /** Several installs may share one parent folder. */
    private static function name(string $root): string
    {
        return 'tocsin-' . basename($root) . '-' . substr(sha1($root), 0, 8);
    }
}
