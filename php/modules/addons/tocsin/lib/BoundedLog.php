<?php

namespace Tocsin\Bridge;

/**
 * A small log for the queue view: JSON lines, of which the newest are kept.
 */
final class BoundedLog
{
    const REFUSED = 'refused.ndjson';
    const BYTES = 500000;

    private $folder;
    private $name;

    public function __construct(Folder $folder, string $name)
    {
        $this->folder = $folder;
        $this->name = $name;
    }

    public function add(array $entry): void
    {
        $file = $this->folder->lock($this->name);
        if ($file === null) {
            return;
        }
        fseek($file, 0, SEEK_END);
        if (ftell($file) > self::BYTES) {
            $this->folder->write('older-' . $this->name, $this->folder->read($this->name));
            ftruncate($file, 0);
            rewind($file);
        }
        @fwrite($file, json_encode(['at' => Event::time(microtime(true))] + $entry, Event::JSON) . "\n");
        fclose($file);
    }

    /** @return array[] newest first */
    public function newest(int $count): array
    {
        $lines = array_filter(explode("\n", $this->folder->read($this->name)));
        $entries = array_map(static function ($line) {
            return json_decode($line, true);
        }, array_slice($lines, -$count));
        return array_reverse(array_filter($entries));
    }
}
