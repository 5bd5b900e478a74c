<?php

/**
 * Makes the two generated files of the bridge:
 *
 * - `modules/addons/tocsin/lib/HookTable.php` from `contracts/whmcs-hooks.json`;
 * - `includes/hooks/tocsin.php`, the whole bridge in a single file, from the classes in `lib/`.
 *
 * `php build.php --check` writes nothing and fails if a committed file is not what would be written.
 */

const LIB = __DIR__ . '/modules/addons/tocsin/lib/';

/** The settings page belongs to the add-on only; the loader is not needed in a single file. */
const NOT_IN_SINGLE_FILE = ['autoload.php', 'AdminPage.php', 'AdminActions.php', 'Brought.php', 'Queue.php', 'SettingsTable.php'];

function hook_table(array $contract): string
{
    $tables = ['event' => [], 'metric' => []];
    $metricOf = array_column($contract['hooks'], 'metric_name', 'name');
    foreach ($contract['hooks'] as $hook) {
        $row = $hook['kind'] === 'event' ? event_row($hook) : metric_row($hook, $metricOf);
        $tables[$hook['kind']][] = '        ' . php($hook['name']) . ' => ' . php($row) . ",\n";
    }
    return "<?php\n\nnamespace Tocsin\\Bridge;\n\n"
        . "/**\n * Made by build.php from contracts/whmcs-hooks.json: change that file, then run `php php/build.php`.\n */\n"
        . "final class HookTable\n{\n"
        . "    const EVENTS = [\n" . implode('', $tables['event']) . "    ];\n\n"
        . "    const METRICS = [\n" . implode('', $tables['metric']) . "    ];\n}\n";
}

function event_row(array $hook): array
{
    $row = [
        'type' => $hook['event_type'],
        'quiet' => $hook['quiet_severity'] <= 2 && !isset($hook['loud_when']),
        'params' => array_keys($hook['parameters']),
        'fields' => array_map('rule', $hook['forward']),
    ];
    foreach ($hook['on_opt_in'] ?? [] as $group => $fields) {
        $row['personal'][$group] = array_map('rule', $fields);
    }
    $row['subject'] = subject_attributes($hook);
    foreach (['message', 'aliases', 'skip_when'] as $optional) {
        $row[$optional] = $hook[$optional] ?? null;
    }
    return array_filter($row, static function ($value) {
        return $value !== null && $value !== [];
    }) + ['params' => [], 'fields' => []];
}

function metric_row(array $hook, array $metricOf): array
{
    return array_filter([
        'metric' => $hook['metric_name'],
        'failed' => $hook['failed_when_false'] ?? null,
        'split_by' => $hook['split_by'] ?? null,
        'timed_from' => $metricOf[$hook['timed_from'] ?? ''] ?? null,
    ]) + ['params' => array_keys($hook['parameters'])];
}

/** "int params.serviceid" becomes [int, params, serviceid]. */
function rule(string $text): array
{
    list($kind, $path) = explode(' ', $text . ' ');
    return array_merge([$kind], $path === '' ? [] : explode('.', $path));
}

/** The attributes that carry the documented subject keys. */
function subject_attributes(array $hook): array
{
    $attributes = [];
    foreach ($hook['subject_keys'] as $key) {
        $key = $hook['aliases'][$key] ?? $key;
        foreach ($hook['forward'] as $name => $rule) {
            if (explode(' ', $rule . ' ')[1] === $key) {
                $attributes[] = $name;
            }
        }
    }
    return $attributes;
}

/** A value in short PHP syntax on one line. */
function php($value): string
{
    if (!is_array($value)) {
        return is_string($value) ? "'" . addcslashes($value, "'\\") . "'" : strtolower(var_export($value, true));
    }
    $isList = array_keys($value) === range(0, count($value) - 1);
    $parts = [];
    foreach ($value as $key => $entry) {
        $parts[] = ($isList ? '' : php($key) . ' => ') . php($entry);
    }
    return '[' . implode(', ', $parts) . ']';
}

function single_file(string $hookTable): string
{
    $classes = '';
    foreach (glob(LIB . '*.php') as $path) {
        if (!in_array(basename($path), NOT_IN_SINGLE_FILE, true)) {
            $source = basename($path) === 'HookTable.php' ? $hookTable : file_get_contents($path);
            $classes .= "\n" . trim(preg_replace('/^<\?php\s+namespace [^;]+;\s+/', '', $source)) . "\n";
        }
    }
    return str_replace('{classes}', $classes, SINGLE_FILE);
}

const SINGLE_FILE = <<<'SINGLE'
<?php

/**
 * The Tocsin bridge in a single file. Put it into WHMCS's `includes/hooks/`, and `tocsin-config.php` beside WHMCS's
 * folder. To send from a cron line: `php includes/hooks/tocsin.php`.
 *
 * Made by build.php from the classes of the add-on: change those, then run `php php/build.php`.
 */

namespace Tocsin\Bridge;

// Not declared twice if the add-on is installed as well, whichever of the two WHMCS loads first.
if (!class_exists('Tocsin\Bridge\Hooks', false)) {
{classes}
}

if (PHP_SAPI === 'cli' && realpath($_SERVER['SCRIPT_FILENAME'] ?? '') === __FILE__) {
    exit(Command::run(dirname(__DIR__, 2), $argv));
}
if (!defined('WHMCS')) {
    die('This file is part of WHMCS and cannot be opened by itself.');
}
Hooks::register(Places::root(dirname(__DIR__, 2)));

SINGLE;

function main(array $arguments): int
{
    $contract = json_decode(file_get_contents(__DIR__ . '/../contracts/whmcs-hooks.json'), true);
    $hookTable = hook_table($contract);
    $files = [LIB . 'HookTable.php' => $hookTable, __DIR__ . '/includes/hooks/tocsin.php' => single_file($hookTable)];
    $isCheck = in_array('--check', $arguments, true);
    $stale = [];
    foreach ($files as $path => $content) {
        if (@file_get_contents($path) !== $content) {
            $stale[] = $path;
            if (!$isCheck) {
                file_put_contents($path, $content);
            }
        }
    }
    echo $stale === [] ? "Both files are up to date.\n" : implode("\n", $stale) . ($isCheck ? " differs\n" : " written\n");
    return $isCheck && $stale !== [] ? 1 : 0;
}

exit(main($argv));
