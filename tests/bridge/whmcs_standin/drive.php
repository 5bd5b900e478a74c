<?php

/**
 * Plays WHMCS for a test: `php drive.php ROOT < steps.json`, answers with JSON what happened.
 *
 * Steps: {"load": PATH}, {"fire": NAME, "args": [...]}, {"documented": NAME or "*"}, {"call": FUNCTION, "args": [...]},
 * {"post": {...}}, {"log": TEXT}, {"repeat": N, "step": STEP}, {"server": {...}}, {"define": {...}}, {"sleep": SECONDS},
 * {"query": MILLISECONDS or [SQL, VALUES, MILLISECONDS]}.
 */

$GLOBALS['standin_root'] = $argv[1];

require __DIR__ . '/standin.php';
require __DIR__ . '/payloads.php';

const OBJECTS = ['@model' => 'StandInModel', '@throwing' => 'ThrowingModel', '@date' => 'StandInCarbon'];

function with_objects($value)
{
    if (is_array($value)) {
        return array_map('with_objects', $value);
    }
    $class = is_string($value) ? OBJECTS[$value] ?? null : null;
    return $class === null ? $value : new $class();
}

function contract()
{
    static $hooks;
    return $hooks = $hooks ?? array_column(json_decode(file_get_contents(getenv('HOOK_CONTRACT')), true)['hooks'], null, 'name');
}

function step(array $step, array &$result)
{
    switch (key($step)) {
        case 'load':
            require_once ROOTDIR . '/' . $step['load'];
            break;
        case 'fire':
            $result['returned'][$step['fire']][] = run_hook($step['fire'], ...with_objects($step['args'] ?? [[]]));
            break;
        case 'documented':
            foreach ($step['documented'] === '*' ? array_keys(contract()) : [$step['documented']] as $name) {
                $result['returned'][$name][] = run_hook($name, documented_vars(contract()[$name]));
            }
            break;
        case 'call':
            $result['called'][] = ($step['call'])(...($step['args'] ?? []));
            break;
        case 'post':
            $_SERVER['REQUEST_METHOD'] = 'POST';
            $_POST = $step['post'] + ['token' => 'standin-token'];
            break;
        case 'page':
            ob_start();
            tocsin_output(['modulelink' => 'addonmodules.php?module=tocsin']);
            $result['page'] = ob_get_clean();
            break;
        case 'log':
            logActivity($step['log'], 118);
            break;
        case 'repeat':
            for ($turn = 0; $turn < $step['repeat']; $turn++) {
                step($step['step'], $result);
            }
            break;
        case 'server':
            $_SERVER = $step['server'] + $_SERVER;
            break;
        case 'define':
            foreach ($step['define'] as $name => $value) {
                define($name, $value);
            }
            break;
        case 'query':
            foreach (WHMCS\Database\Capsule::$listeners as $listener) {
                is_array($step['query']) ? $listener(...$step['query']) : $listener((object) ['sql' => SECRET, 'time' => $step['query']]);
            }
            break;
        case 'sleep':
            usleep((int) ($step['sleep'] * 1000000));
            break;
        default:
            throw new InvalidArgumentException('unknown step ' . json_encode($step));
    }
}

$result = ['returned' => [], 'called' => []];
$started = microtime(true);
foreach (json_decode(stream_get_contents(STDIN), true) as $step) {
    step($step, $result);
}
$result['seconds'] = microtime(true) - $started;
$result['registered'] = array_map(function ($callbacks) {
    return array_column($callbacks, 0);
}, $GLOBALS['standin_hooks']);
$result['queries'] = WHMCS\Database\Capsule::$queries;

// Shutdown functions come later than this line: complaints and times are told at the very end.
register_shutdown_function(function () {
    register_shutdown_function(function () {
        register_shutdown_function(function () {
            register_shutdown_function(function () {
                $GLOBALS['result']['seconds_in_all'] = microtime(true) - $GLOBALS['started'];
                $GLOBALS['result']['complaints'] = $GLOBALS['standin_complaints'];
                echo json_encode($GLOBALS['result']);
            });
        });
    });
});
