<?php

namespace Tocsin\Bridge;

/**
 * What the administrator chose, read once per request without a database query.
 *
 * Later sources win: defaults, the file that the settings page writes, `tocsin-config.php`, environment variables,
 * constants (both named TOCSIN_ and the setting in capitals).
 */
final class Settings
{
    const FILE = 'config.json';
    const PHP_FILE = 'tocsin-config.php';

    const PERSONAL_GROUPS = ['names', 'contact', 'texts', 'addresses'];

    const DEFAULTS = [
        'server_url' => '',
        'api_key' => '',
        'personal' => [],
        'log_patterns' => null,
        'folder' => '',
        'max_bytes' => 200000000,
        'flush_seconds' => 10,
        'ca_file' => '',
    ];

    public $root;
    public $serverUrl;
    public $apiKey;
    public $personal;
    public $folder;
    public $maxBytes;
    public $flushSeconds;
    public $caFile;
    private $patternText;
    private $patterns;

    public function __construct(string $root, array $values)
    {
        $values += self::DEFAULTS;
        $this->root = $root;
        $this->serverUrl = rtrim(trim((string) $values['server_url']), '/');
        $this->apiKey = trim((string) $values['api_key']);
        $this->personal = array_values(array_intersect(self::PERSONAL_GROUPS, self::words($values['personal'])));
        $this->patternText = $values['log_patterns'];
        $this->folder = rtrim((string) $values['folder'], '/') ?: Places::chosen($root);
        $this->maxBytes = max(10000, (int) $values['max_bytes']);
        $this->flushSeconds = max(1, (int) $values['flush_seconds']);
        $this->caFile = (string) $values['ca_file'];
    }

    public static function load(string $root): self
    {
        return new self($root, self::outside() + self::phpFile($root) + self::saved($root));
    }

    /** The values that the settings page saved. */
    public static function saved(string $root): array
    {
        $folder = Places::found($root);
        if ($folder === null) {
            return self::restored($root);
        }
        $values = json_decode((string) @file_get_contents($folder . '/' . self::FILE), true);
        return array_filter(['folder' => $values['folder'] ?? '']) + (array) $values + ['folder' => $folder];
    }

    /** Writes the file that pages read. It stays where it is found without a database, whatever folder it names. */
    public static function save(string $root, array $values): void
    {
        $folder = Folder::opened(Places::found($root) ?? Places::chosen($root));
        if (!$folder->write(self::FILE, json_encode($values, Event::JSON))) {
            throw new \RuntimeException('The settings could not be written to ' . $folder->path(self::FILE)
                . '. Check that the disk is not full and the folder belongs to the web server.');
        }
    }

    /** The file was deleted, or WHMCS moved: the add-on has a copy in the database. */
    private static function restored(string $root): array
    {
        $values = class_exists(SettingsTable::class) ? SettingsTable::load() : [];
        if ($values !== []) {
            self::save($root, $values);
        }
        return $values;
    }

    private static function outside(): array
    {
        $values = [];
        foreach (array_keys(self::DEFAULTS) as $name) {
            $outside = 'TOCSIN_' . strtoupper($name);
            $value = defined($outside) ? constant($outside) : getenv($outside);
            if ($value !== false && $value !== '') {
                $values[$name] = $value;
            }
        }
        return $values;
    }

    /** For the single-file variant: better beside WHMCS's folder than in it. */
    private static function phpFile(string $root): array
    {
        foreach ([dirname($root), $root] as $folder) {
            if (is_file($folder . '/' . self::PHP_FILE)) {
                $values = include $folder . '/' . self::PHP_FILE;
                return is_array($values) ? $values : [];
            }
        }
        return [];
    }

    /** @return string[] from a list or from "one, two" */
    private static function words($value): array
    {
        return is_array($value) ? $value : preg_split('/[\s,]+/', (string) $value, -1, PREG_SPLIT_NO_EMPTY);
    }

    /** As the administrator wrote them; an empty text means that no line is wanted. */
    public function patternText(): string
    {
        return (string) ($this->patternText ?? LogPatterns::DEFAULTS);
    }

    /** @return array<string,string> compiled at the first log line, since most requests write none */
    public function logPatterns(): array
    {
        if ($this->patterns === null) {
            $this->patterns = LogPatterns::parsed($this->patternText())['patterns'];
        }
        return $this->patterns;
    }

    public function isComplete(): bool
    {
        return $this->serverUrl !== '' && $this->apiKey !== '';
    }
}
