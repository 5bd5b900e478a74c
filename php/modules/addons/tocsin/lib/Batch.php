<?php

namespace Tocsin\Bridge;

/**
 * What is sent in one request: the next lines of both streams in the order of their numbers.
 */
final class Batch
{
    /** @var Line[] */
    public $lines = [];
    /** @var Line[] */
    public $torn = [];
    /** @var array<string,int[]> positions behind the last line taken */
    public $positions;

    private $bytes = 0;

    /** @param int $last the highest number that is completely written */
    public static function next(Segments $segments, array $positions, int $last, int $maxLines, int $maxBytes): self
    {
        $batch = new self();
        $batch->positions = $positions;
        $cursors = [];
        foreach (Spool::STREAMS as $stream) {
            $cursors[$stream] = new StreamCursor($segments, $stream, $positions[$stream]);
        }
        while (($line = self::lowest($cursors)) !== null && $line->sequence <= $last) {
            if (!$batch->add($line, $maxLines, $maxBytes)) {
                break;
            }
            $cursors[$line->stream]->take();
        }
        return $batch;
    }

    private static function lowest(array $cursors)
    {
        $lowest = null;
        foreach ($cursors as $cursor) {
            $line = $cursor->peek();
            if ($line !== null && ($lowest === null || $line->sequence < $lowest->sequence)) {
                $lowest = $line;
            }
        }
        return $lowest;
    }

    private function add(Line $line, int $maxLines, int $maxBytes): bool
    {
        if ($line->isTorn()) {
            $this->torn[] = $line;
        } else {
            $length = strlen($line->text) + 1;
            if (count($this->lines) === $maxLines || ($this->lines !== [] && $this->bytes + $length > $maxBytes)) {
                return false;
            }
            $this->lines[] = $line;
            $this->bytes += $length;
        }
        $this->positions[$line->stream] = $line->end;
        return true;
    }

    public function body(): string
    {
        $body = '';
        foreach ($this->lines as $line) {
            $body .= $line->text . "\n";
        }
        return $body;
    }
}
