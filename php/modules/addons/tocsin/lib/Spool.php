<?php

namespace Tocsin\Bridge;

/**
 * Takes events from hooks: numbers each one and appends it to a file, under one lock, in well under a millisecond.
 *
 * The head is written before the line. A process that dies between the two leaves a number without an event, which
 * is what happened; never two events with one number.
 */
final class Spool
{
    const QUIET = 'quiet';
    const LOUD = 'loud';
    const STREAMS = [self::QUIET, self::LOUD];

    /** A whole event, attributes and message at their bounds, is far below. */
    const LONGEST_LINE = 65536;

    public $folder;
    public $segments;
    private $maxBytes;
    private $segmentBytes;
    private $headFile;
    private $open = [];
    private $stuck = false;

    public function __construct(Folder $folder, int $maxBytes)
    {
        $this->folder = $folder;
        $this->segments = new Segments($folder);
        $this->maxBytes = $maxBytes;
        $this->segmentBytes = (int) min(1000000, max(1000, $maxBytes / 16));
    }

    /** @param string $json an event object without source and sequence */
    public function append(string $stream, string $json): void
    {
        if (strlen($json) > self::LONGEST_LINE) {
            throw new \LengthException('event is too long for the spool');
        }
        if ($this->stuck || !$this->lock(Folder::WAIT_SECONDS)) {
            $this->stuck = true; // one wait per request is enough
            $this->setAside($stream, $json);
            return;
        }
        try {
            $this->write($stream, $json);
        } finally {
            flock($this->headFile, LOCK_UN);
        }
    }

    private function write(string $stream, string $json): void
    {
        $head = $this->head();
        $segment = $this->segment($head, $stream, strlen($json) + 100);
        $sizeBefore = $head->size[$stream];
        $line = '{"source":"' . $head->source . '","sequence":' . ++$head->sequence . ',' . substr($json, 1) . "\n";
        $head->size[$stream] += strlen($line);
        $this->save($head);
        if (@fwrite($segment, $line) !== strlen($line)) {
            $this->undo($head, $stream, $segment, $sizeBefore);
        }
    }

    /** The disk is full: take back the half line. The number stays used, so that the server sees the gap. */
    private function undo(Head $head, string $stream, $segment, int $size): void
    {
        @ftruncate($segment, $size);
        $head->size[$stream] = $size;
        $head->lost++;
        $this->save($head);
        throw new \RuntimeException('An event could not be written: is the disk of ' . $this->folder->path() . ' full?');
    }

    /** @return resource the file to append to, whole up to its end */
    private function segment(Head $head, string $stream, int $needed)
    {
        if ($head->segment[$stream] === 0 || $head->size[$stream] + $needed > $this->segmentBytes) {
            (new Room($this->folder, $this->segments, $this->maxBytes))->make($head, 2 * $this->segmentBytes);
            $head->segment[$stream] = $head->sequence + 1;
            $head->size[$stream] = 0;
        }
        $file = $this->opened($stream, $head->segment[$stream]);
        $found = fstat($file);
        if ($found['nlink'] === 0) {
            unset($this->open[$stream]); // removed by hand while we had it open
            $file = $this->opened($stream, $head->segment[$stream]);
            $found = fstat($file);
        }
        if ($found['size'] !== $head->size[$stream]) {
            $this->repair($head, $stream, $file, $found['size']);
        }
        return $file;
    }

    private function opened(string $stream, int $number)
    {
        if (($this->open[$stream][0] ?? null) !== $number) {
            $this->open[$stream] = [$number, $this->folder->file($this->segments->name($stream, $number))];
        }
        fseek($this->open[$stream][1], 0, SEEK_END);
        return $this->open[$stream][1];
    }

    /** A process died in the middle of a line, or the machine before the head was on disk. */
    private function repair(Head $head, string $stream, $file, int $size): void
    {
        $tail = $this->segments->tail($stream, $head->segment[$stream]);
        if ($tail !== '' && substr($tail, -1) !== "\n") {
            $size += (int) @fwrite($file, "\n"); // the torn line ends here, and the reader puts it aside
        }
        $head->sequence = max($head->sequence, Segments::lastSequence($tail));
        $head->size[$stream] = $size;
    }

    private function lock(float $wait): bool
    {
        if ($this->headFile === null) {
            $this->headFile = $this->folder->file(Head::FILE);
        }
        if (!Folder::locked($this->headFile, $wait)) {
            return false;
        }
        if (fstat($this->headFile)['nlink'] === 0) {
            $this->headFile = null; // the folder was emptied under a running process
            $this->open = [];
            return $this->lock($wait);
        }
        return true;
    }

    private function head(): Head
    {
        rewind($this->headFile);
        return Head::decoded((string) fread($this->headFile, 512)) ?? $this->newHead();
    }

    /** Numbering starts under a new name, so that the server does not take it for a replay. */
    private function newHead(): Head
    {
        $head = new Head('whmcs-' . bin2hex(random_bytes(8)));
        $positions = FlushState::load($this->folder)->positions;
        foreach (self::STREAMS as $stream) {
            // Above all that was ever used: segments are named by number and sent in that order.
            $numbers = $this->segments->numbers($stream) ?: [0];
            $written = Segments::lastSequence($this->segments->tail($stream, end($numbers)));
            $head->sequence = max($head->sequence, end($numbers), $written, $positions[$stream][0]);
        }
        return $head;
    }

    private function save(Head $head): void
    {
        $record = $head->encoded();
        rewind($this->headFile);
        if (@fwrite($this->headFile, $record) !== strlen($record)) {
            throw new \RuntimeException('The spool in ' . $this->folder->path() . ' cannot be written: is the disk full?');
        }
    }

    /** One whole file per event, which needs no lock; the next flush gives it its number. */
    private function setAside(string $stream, string $json): void
    {
        $this->folder->write(sprintf('aside-%s-%s.json', Event::uuid7(microtime(true)), $stream), $json);
    }

    public function adoptSetAside(): void
    {
        foreach (@scandir($this->folder->path()) ?: [] as $name) {
            if (preg_match('/^aside-[0-9a-f-]+-(quiet|loud)\.json$/D', $name, $found)) {
                $this->append($found[1], $this->folder->read($name));
                if ($this->stuck) {
                    return; // still no lock: appending has set it aside once more
                }
                @unlink($this->folder->path($name));
            }
        }
    }

    /**
     * Reads or changes the head while no event can be appended.
     *
     * @param callable|null $change given the head; it is written back
     * @return Head|null null if the lock cannot be had
     */
    public function withHead(?callable $change = null)
    {
        if (!$this->lock(1.0)) {
            return null;
        }
        try {
            $head = $this->head();
            if ($change !== null) {
                $change($head);
                $this->save($head);
            }
            return $head;
        } finally {
            flock($this->headFile, LOCK_UN);
        }
    }
}
