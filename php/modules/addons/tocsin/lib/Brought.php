<?php

namespace Tocsin\Bridge;

/**
 * The address of Tocsin and a key, as a download of this add-on brings them along. Each is taken over once, even where the
 * web server may not delete the file: what was chosen later stays.
 */
final class Brought
{
    const FILE = 'brought.php';
    const MARK = 'brought'; // the setting that remembers what was taken over

    private $path;
    private $values;

    /** @param string $folder the add-on's own */
    public function __construct(string $folder)
    {
        $this->path = $folder . '/' . self::FILE;
        $this->values = array_intersect_key($this->read(), ['server_url' => '', 'api_key' => '']);
    }

    private function read(): array
    {
        try {
            return is_file($this->path) ? (array) @include $this->path : [];
        } catch (\Throwable $fault) {
            return []; // uploaded in part
        }
    }

    /** @return bool whether there was something that was not taken over before */
    public function takeOver(string $root): bool
    {
        $saved = Settings::saved($root);
        $isNew = $this->isNew($saved);
        if ($isNew) {
            $saved = $this->values + [self::MARK => $this->mark()] + $saved;
        }
        Settings::save($root, $saved);
        @unlink($this->path); // it holds a key
        clearstatcache(true, $this->path);
        if ($isNew) {
            SettingsTable::save($saved);
            AdminActions::startAfresh(Folder::opened(Settings::load($root)->folder));
        }
        return $isNew;
    }

    /** What to tell the administrator about a file that still lies there; '' if there is none. */
    public function warning(string $root): string
    {
        if (!is_file($this->path)) {
            return '';
        }
        return $this->isNew(Settings::saved($root))
            ? "The file $this->path came with a download and holds an address and a key that are not used yet. To use them, deactivate "
                . 'and activate this add-on; otherwise delete the file.'
            : "The file $this->path holds a key, and the web server may not delete it. It is not needed any more: delete it yourself.";
    }

    private function isNew(array $saved): bool
    {
        return $this->values !== [] && ($saved[self::MARK] ?? '') !== $this->mark();
    }

    private function mark(): string
    {
        return hash('sha256', json_encode($this->values, Event::JSON));
    }
}
