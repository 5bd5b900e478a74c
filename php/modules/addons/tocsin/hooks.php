<?php

/**
 * WHMCS loads this on every page. All it does is register; the rest is loaded when a hook fires.
 */

if (!defined('WHMCS')) {
    die('This file is part of WHMCS and cannot be opened by itself.');
}

try {
    require_once __DIR__ . '/lib/autoload.php';
    \Tocsin\Bridge\Hooks::register(\Tocsin\Bridge\Places::root(dirname(__DIR__, 3)));
} catch (\Throwable $fault) {
    // A half-copied add-on must not take the shop down; the settings page will show what is missing.
}
