<?php

namespace Tocsin\Bridge;

/**
 * One line of the spool and where it ends, so that sending it can be recorded.
 */
final class Line
{
    public $text;
    public $sequence;
    public $stream;
    /** @var int[] segment and offset behind this line */
    public $end;

    public function __construct(string $text, int $sequence, string $stream, array $end)
    {
        $this->text = $text;
        $this->sequence = $sequence;
        $this->stream = $stream;
        $this->end = $end;
    }

    /** A line that a crash tore has no number that could be trusted. */
    public function isTorn(): bool
    {
        return $this->sequence === 0;
    }
}
