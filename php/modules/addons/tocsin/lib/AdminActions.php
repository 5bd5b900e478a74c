<?php

namespace Tocsin\Bridge;

/**
 * What the buttons of the settings page do. Each action answers with what to tell the administrator.
 */
final class AdminActions
{
    const TEST_SECONDS = 5.0;

    private $root;

    public function __construct(string $root)
    {
        $this->root = $root;
    }

    /** @return array<array{string,string}> kind of alert and sentence */
    public function perform(array $form): array
    {
        if (!function_exists('check_token')) {
            return [['danger', 'This WHMCS offers no form token, so nothing can be changed here. Use ' . Settings::PHP_FILE . '.']];
        }
        check_token('WHMCS.admin.default'); // WHMCS ends the request itself if the token is wrong
        try {
            switch ($form['tocsin_action'] ?? '') {
                case 'save':
                    return $this->save($form);
                case 'test':
                    return [$this->test()];
                case 'send':
                    return [$this->send()];
                default:
                    return [];
            }
        } catch (\Throwable $fault) {
            return [['danger', $fault->getMessage()]];
        }
    }

    private function save(array $form): array
    {
        $earlier = Settings::saved($this->root);
        $values = $this->values($form, $earlier);
        $faults = self::faults($values);
        if ($faults !== []) {
            return $faults;
        }
        Settings::save($this->root, $values);
        SettingsTable::save($values);
        self::startAfresh(Folder::opened(Settings::load($this->root)->folder));
        $notices = [['success', 'Saved.']];
        foreach (LogPatterns::parsed($values['log_patterns'])['notes'] as $note) {
            $notices[] = ['warning', "Log patterns: $note"];
        }
        if (stripos($values['server_url'], 'http://') === 0) {
            $notices[] = ['warning', 'The server address is not encrypted (http). Use it only within one machine.'];
        }
        return $notices;
    }

    private function values(array $form, array $earlier): array
    {
        $text = static function ($name) use ($form) {
            $value = is_string($form[$name] ?? null) ? $form[$name] : '';
            // WHMCS may hand over what it received already encoded for HTML.
            return trim(html_entity_decode($value, ENT_QUOTES));
        };
        return [
            'server_url' => rtrim($text('server_url'), '/'),
            // The key is never shown again: an empty field keeps the one that is stored.
            'api_key' => $text('api_key') !== '' ? $text('api_key') : ($earlier['api_key'] ?? ''),
            'personal' => array_values(array_intersect(Settings::PERSONAL_GROUPS, (array) ($form['personal'] ?? []))),
            'log_patterns' => $text('log_patterns'),
            'folder' => rtrim($text('folder'), '/'),
            'max_bytes' => (int) $text('max_megabytes') * 1000000 ?: Settings::DEFAULTS['max_bytes'],
            'flush_seconds' => (int) $text('flush_seconds') ?: Settings::DEFAULTS['flush_seconds'],
            'ca_file' => $text('ca_file'),
            Brought::MARK => $earlier[Brought::MARK] ?? '',
        ];
    }

    private static function faults(array $values): array
    {
        $faults = [];
        if (!preg_match('~^https?://[^\s/?#]+[^\s?#]*$~iD', $values['server_url'])) {
            $faults[] = ['danger', 'The server address must look like https://tocsin.example.com.'];
        }
        if (!preg_match('/^[\x21-\x7e]+$/D', $values['api_key'])) {
            $faults[] = ['danger', 'The API key is missing or has characters that no key has.'];
        }
        if ($values['folder'] !== '' && $values['folder'][0] !== '/') {
            $faults[] = ['danger', 'The folder must be a full path, such as /var/lib/tocsin-bridge.'];
        } elseif ($values['folder'] !== '') {
            Folder::opened($values['folder']); // throws a sentence that says what is wrong
        }
        if ($values['ca_file'] !== '' && !is_readable($values['ca_file'])) {
            $faults[] = ['danger', 'The file with certificate authorities cannot be read.'];
        }
        return $faults;
    }

    /** New settings deserve a new attempt at once, and old faults are no news any more. */
    public static function startAfresh(Folder $folder): void
    {
        Faults::forget($folder);
        $state = FlushState::load($folder);
        $state->notBefore = $state->askedUntil = 0.0;
        $state->save($folder);
    }

    /** A test event goes straight to the server: it proves address, key, signature and clock. */
    private function test(): array
    {
        $event = ['type' => 'bridge.connection_test', 'status' => 'info', 'severity' => 1,
            'title' => 'Connection test of the WHMCS bridge'];
        $started = microtime(true);
        $sender = new Sender(Settings::load($this->root));
        $verdict = Verdict::on($sender->post(Event::json($event, $started) . "\n", self::TEST_SECONDS));
        if ($verdict->kind !== Verdict::TAKEN) {
            return ['danger', $verdict->reason];
        }
        if ($verdict->rejected !== []) {
            return ['danger', 'The server refused the test event: ' . json_encode($verdict->rejected, Event::JSON)];
        }
        $milliseconds = (int) round((microtime(true) - $started) * 1000);
        return ['success', "It works: the server took a test event in $milliseconds ms."];
    }

    private function send(): array
    {
        $result = (new Bridge(Settings::load($this->root)))->flush(Flusher::CRON_SECONDS, true);
        return [$result->status === FlushResult::FAILED ? 'danger' : 'success', $result->message];
    }
}
