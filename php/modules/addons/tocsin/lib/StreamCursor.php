<?php

namespace Tocsin\Bridge;

/**
 * Walks over the lines of one stream, from segment to segment, with one line of foresight.
 */
final class StreamCursor
{
    private $segments;
    private $stream;
    private $number;
    private $offset;
    private $file;
    private $next;

    /** @param int[] $position segment and offset to start from */
    public function __construct(Segments $segments, string $stream, array $position)
    {
        $this->segments = $segments;
        $this->stream = $stream;
        list($this->number, $this->offset) = $position;
    }

    /** @return Line|null the next line without taking it; null at the end */
    public function peek()
    {
        if ($this->next === null) {
            $this->next = $this->read();
        }
        return $this->next;
    }

    public function take(): void
    {
        $this->next = null;
    }

    private function read()
    {
        while ($this->file !== null || $this->open($this->number, $this->offset)) {
            $text = fgets($this->file);
            if ($text !== false && substr($text, -1) === "\n") {
                $this->offset += strlen($text);
                return $this->line(rtrim($text, "\n"));
            }
            // The end, or a line being written: go on only if a later segment shows that nothing will follow here.
            if (!$this->openLater()) {
                return null;
            }
        }
        return null;
    }

    private function line(string $text): Line
    {
        $event = json_decode($text, true);
        $sequence = is_array($event) ? (int) ($event['sequence'] ?? 0) : 0;
        return new Line($text, $sequence, $this->stream, [$this->number, $this->offset]);
    }

    /** A segment that is gone was sent or dropped: the first later one follows. */
    private function open(int $number, int $offset): bool
    {
        $file = $number > 0 ? @fopen($this->segments->path($this->stream, $number), 'rb') : false;
        if ($file === false) {
            return $this->openLater();
        }
        fseek($file, $offset);
        $this->file = $file;
        return true;
    }

    private function openLater(): bool
    {
        foreach ($this->segments->numbers($this->stream) as $number) {
            if ($number > $this->number) {
                $this->file = @fopen($this->segments->path($this->stream, $number), 'rb') ?: null;
                $this->number = $number;
                $this->offset = 0;
                return $this->file !== null || $this->openLater();
            }
        }
        return false;
    }
}
