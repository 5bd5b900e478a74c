<?php

/**
 * WHMCS loads this on every page. All it does is register; the rest is loaded when a hook fires.
 */

if (!defined('WHMCS')) {
    die('This file is part of WHMCS and cannot be opened by itself.');
}

require_once __DIR__ . '/lib/autoload.php';

\Tocsin\Bridge\Hooks::register(realpath(defined('ROOTDIR') ? ROOTDIR : dirname(__DIR__, 3)));
