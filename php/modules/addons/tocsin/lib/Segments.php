<?php

namespace Tocsin\Bridge;

/**
 * The files of the spool: `quiet-N.ndjson` and `loud-N.ndjson`, N being the sequence of the first event in it.
 *
 * Quiet and loud events lie in files of their own, so that making room is the removal of a file, not the rewriting
 * of one while a page waits.
 */
final class Segments
{
    private $folder;

    public function __construct(Folder $folder)
    {
        $this->folder = $folder;
    }

    public function name(string $stream, int $number): string
    {
        return sprintf('%s-%016d.ndjson', $stream, $number);
    }

    public function path(string $stream, int $number): string
    {
        return $this->folder->path($this->name($stream, $number));
    }

    /** @return int[] oldest first */
    public function numbers(string $stream): array
    {
        $numbers = [];
        foreach (@scandir($this->folder->path()) ?: [] as $name) {
            if (sscanf($name, $stream . '-%d.ndjson', $number) === 1 && $name === $this->name($stream, $number)) {
                $numbers[] = $number;
            }
        }
        return $numbers;
    }

    public function size(string $stream, int $number): int
    {
        clearstatcache(true, $this->path($stream, $number));
        return (int) @filesize($this->path($stream, $number));
    }

    public function total(): int
    {
        $total = 0;
        foreach (Spool::STREAMS as $stream) {
            foreach ($this->numbers($stream) as $number) {
                $total += $this->size($stream, $number);
            }
        }
        return $total;
    }

    /** Lines from an offset to the end. */
    public function count(string $stream, int $number, int $offset = 0): int
    {
        return substr_count((string) @file_get_contents($this->path($stream, $number), false, null, $offset), "\n");
    }

    /** The end of a segment: at least its last two lines. */
    public function tail(string $stream, int $number): string
    {
        $start = max(0, $this->size($stream, $number) - 2 * Spool::LONGEST_LINE);
        return (string) @file_get_contents($this->path($stream, $number), false, null, $start);
    }

    /** The highest number in some lines; also read from a torn line, since that number is used up too. */
    public static function lastSequence(string $lines): int
    {
        preg_match_all('/^\{"source":"[^"]*","sequence":(\d+)/m', $lines, $numbers);
        return $numbers[1] === [] ? 0 : (int) max($numbers[1]);
    }

    public function remove(string $stream, int $number): bool
    {
        return @unlink($this->path($stream, $number));
    }
}
