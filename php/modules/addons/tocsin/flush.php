<?php

/**
 * Sends what waits in the spool: `php flush.php --help`.
 */

if (PHP_SAPI !== 'cli') {
    http_response_code(404);
    exit;
}

require_once __DIR__ . '/lib/autoload.php';

exit(\Tocsin\Bridge\Command::run(dirname(__DIR__, 3), $argv));
