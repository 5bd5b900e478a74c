<?php

namespace Tocsin\Bridge;

/**
 * Keeps the spool within its bound: the oldest quiet events go first, and each one that goes is counted.
 */
final class Room
{
    private $folder;
    private $segments;
    private $maxBytes;

    public function __construct(Folder $folder, Segments $segments, int $maxBytes)
    {
        $this->folder = $folder;
        $this->segments = $segments;
        $this->maxBytes = $maxBytes;
    }

    /** Called with the spool's lock held, when a new segment is begun: seldom. */
    public function make(Head $head, int $needed): void
    {
        $excess = $this->segments->total() + $needed - $this->maxBytes;
        if ($excess <= 0) {
            return;
        }
        // What a flusher is sending at this moment is neither waiting nor sent: it is spared until that is settled.
        $flusher = $this->folder->lock(Flusher::LOCK, 0);
        $state = FlushState::load($this->folder);
        foreach (Spool::STREAMS as $stream) {
            foreach ($this->segments->numbers($stream) as $number) {
                $isBeingSent = $flusher === null && $number <= $state->inFlight[$stream][0];
                if ($excess > 0 && !$isBeingSent) {
                    $excess -= $this->drop($head, $stream, $number, $state->positions[$stream]);
                }
            }
        }
        if ($flusher !== null) {
            fclose($flusher);
        }
    }

    private function unsent(string $stream, int $number, array $position): int
    {
        if ($number < $position[0]) {
            return 0;
        }
        return $this->segments->count($stream, $number, $number === $position[0] ? $position[1] : 0);
    }

    private function drop(Head $head, string $stream, int $number, array $position): int
    {
        $size = $this->segments->size($stream, $number);
        $unsent = $this->unsent($stream, $number, $position);
        if (!$this->segments->remove($stream, $number)) {
            return 0;
        }
        if ($stream === Spool::QUIET) {
            $head->droppedQuiet += $unsent;
        } else {
            $head->droppedLoud += $unsent;
        }
        if ($head->segment[$stream] === $number) {
            $head->segment[$stream] = $head->size[$stream] = 0;
        }
        return $size;
    }
}
