<?php

/**
 * What a hook costs the page it runs in: fires hooks through a minimal WHMCS and prints one line of JSON.
 *
 * `php bench/bridge_hook.php [N] [--single-file]`; times in microseconds. `first_us` is the first hook of a request,
 * which loads classes and opens the spool; `load_us` is what every page pays for registering, hooks or not.
 */

$count = max(1, (int) ($argv[1] ?? 20000));
$isSingleFile = in_array('--single-file', $argv, true);
$source = dirname(__DIR__) . '/php';
$work = sys_get_temp_dir() . '/tocsin-bench-' . bin2hex(random_bytes(6));
mkdir($work . '/whmcs', 0700, true);
mkdir($work . '/spool', 0700);

define('WHMCS', true);
define('ROOTDIR', $work . '/whmcs');
define('TOCSIN_SERVER_URL', 'http://127.0.0.1:1');
define('TOCSIN_API_KEY', 'bench');
define('TOCSIN_FOLDER', $work . '/spool');

$hooks = [];

function add_hook($name, $priority, $callback)
{
    $GLOBALS['hooks'][$name] = $callback;
}

/** A mixture as a busy shop has it: mostly small, some with a large `params`, some with an error text to redact. */
function firings(): array
{
    $params = array_fill_keys(range(1, 40), 'configuration value') + ['serviceid' => '77', 'userid' => 118, 'serverid' => 3,
        'moduletype' => 'cpanel', 'password' => 'Tr0ub4dor&3', 'clientsdetails' => ['email' => 'ann@example.test']];
    $error = 'Connection to 192.0.2.1:2087 timed out after 30 s; password=Tr0ub4dor&3 ' . str_repeat('and more text ', 20);
    $data = "[invoiceid] => 5521\n" . str_repeat("[field] => value\n", 50);
    return [
        ['InvoicePaid', ['invoiceid' => 5521]],
        ['AddTransaction', ['id' => 1, 'userid' => 118, 'gateway' => 'stripe', 'amountin' => '24.00', 'invocieid' => 5521]],
        ['AfterModuleCreate', ['params' => $params]],
        ['AfterModuleCreateFailed', ['params' => $params, 'failureResponseMessage' => $error]],
        ['LogTransaction', ['gateway' => 'stripe', 'data' => $data, 'result' => 'Declined']],
        ['LogActivity', ['description' => 'Invoice 12 viewed', 'user' => 'System', 'userid' => 118, 'ipaddress' => '192.0.2.1']],
        ['LogActivity', ['description' => 'Failed Admin Login Attempt', 'user' => '', 'userid' => 0, 'ipaddress' => '192.0.2.1']],
        ['TicketUserReply', ['ticketid' => 9, 'replyid' => 8, 'userid' => 118, 'message' => str_repeat('text ', 200), 'priority' => 'High']],
        ['EmailPreSend', ['messagename' => 'Invoice Created', 'relid' => 1]],
    ];
}

function microseconds(callable $work): float
{
    $started = microtime(true);
    $work();
    return (microtime(true) - $started) * 1e6;
}

function cleared(string $folder): void
{
    array_map('unlink', array_filter(array_merge(glob("$folder/*"), glob("$folder/.ht*")), 'is_file'));
    rmdir($folder);
}

$load = microseconds(function () use ($source, $isSingleFile) {
    require $source . ($isSingleFile ? '/includes/hooks/tocsin.php' : '/modules/addons/tocsin/hooks.php');
});
$firings = firings();
$times = [];
for ($turn = 0; $turn < $count; $turn++) {
    list($name, $vars) = $firings[$turn % count($firings)];
    $times[] = microseconds(function () use ($hooks, $name, $vars) {
        $hooks[$name]($vars);
    });
}
$first = $times[0];
sort($times);
echo json_encode([
    'n' => $count,
    'p50_us' => round($times[intdiv($count, 2)], 1),
    'p99_us' => round($times[intdiv($count * 99, 100)], 1),
    'max_us' => round(end($times), 1),
    'first_us' => round($first, 1),
    'load_us' => round($load, 1),
]), "\n";

register_shutdown_function(function () use ($work) {
    register_shutdown_function(function () use ($work) {
        register_shutdown_function(function () use ($work) {
            cleared($work . '/spool');
            rmdir($work . '/whmcs');
            rmdir($work);
        });
    });
});
