<?php

namespace Tocsin\Bridge;

/**
 * The spool's own record: who numbers, how far, and where each stream ends. One line of fixed width, so that it can be
 * overwritten in place on a full disk, with a checksum, because a power failure may leave anything.
 */
final class Head
{
    const FILE = 'head';
    const FORMAT = 'tocsin1 %s %016d %016d %016d %016d %016d %016d %016d %016d';

    /** @var string the install's name at the server; a new one whenever numbering starts anew */
    public $source;
    public $sequence = 0;
    /** @var int[] stream => first sequence of the segment that is written now; 0: none */
    public $segment = [Spool::QUIET => 0, Spool::LOUD => 0];
    /** @var int[] stream => size of that segment after the last complete line */
    public $size = [Spool::QUIET => 0, Spool::LOUD => 0];
    public $droppedQuiet = 0;
    public $droppedLoud = 0;
    public $lost = 0;

    public function __construct(string $source)
    {
        $this->source = $source;
    }

    public function dropped(): int
    {
        return $this->droppedQuiet + $this->droppedLoud;
    }

    public function encoded(): string
    {
        $fields = sprintf(
            self::FORMAT,
            $this->source,
            $this->sequence,
            $this->segment[Spool::QUIET],
            $this->size[Spool::QUIET],
            $this->segment[Spool::LOUD],
            $this->size[Spool::LOUD],
            $this->droppedQuiet,
            $this->droppedLoud,
            $this->lost
        );
        return $fields . ' ' . hash('crc32b', $fields) . "\n";
    }

    /** @return self|null null if the record is missing or damaged */
    public static function decoded(string $record)
    {
        $fields = explode(' ', rtrim($record));
        $checksum = array_pop($fields);
        if (count($fields) !== 10 || $fields[0] !== 'tocsin1' || hash('crc32b', implode(' ', $fields)) !== $checksum) {
            return null;
        }
        $head = new self($fields[1]);
        $head->sequence = (int) $fields[2];
        $head->segment = [Spool::QUIET => (int) $fields[3], Spool::LOUD => (int) $fields[5]];
        $head->size = [Spool::QUIET => (int) $fields[4], Spool::LOUD => (int) $fields[6]];
        $head->droppedQuiet = (int) $fields[7];
        $head->droppedLoud = (int) $fields[8];
        $head->lost = (int) $fields[9];
        return $head;
    }
}
