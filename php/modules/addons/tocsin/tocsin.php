<?php

/**
 * The Tocsin add-on: what WHMCS asks of an add-on module. The work is in lib/.
 */

if (!defined('WHMCS')) {
    die('This file is part of WHMCS and cannot be opened by itself.');
}

require_once __DIR__ . '/lib/autoload.php';

use Tocsin\Bridge\AdminActions;
use Tocsin\Bridge\AdminPage;
use Tocsin\Bridge\Bridge;
use Tocsin\Bridge\Places;
use Tocsin\Bridge\Settings;

function tocsin_root(): string
{
    return Places::root(dirname(__DIR__, 3));
}

function tocsin_config(): array
{
    return [
        'name' => 'Tocsin',
        'description' => 'Reports what happens in WHMCS to Tocsin, which makes sure that the right person hears of a problem.',
        'author' => 'Tocsin',
        'version' => Bridge::VERSION,
        'language' => 'english',
        'fields' => [], // the settings have a page of their own, with a connection test
    ];
}

function tocsin_activate(): array
{
    $brought = tocsin_brought();
    try {
        Settings::save(tocsin_root(), $brought + Settings::saved(tocsin_root()));
        @unlink(__DIR__ . '/brought.php'); // it holds a key, and is taken once
    } catch (\Throwable $fault) {
        return ['status' => 'error', 'description' => $fault->getMessage()];
    }
    return ['status' => 'success', 'description' => $brought === []
        ? 'Now open Addons > Tocsin and enter the server address and the API key.'
        : 'Server address and API key came with the download. Now open Addons > Tocsin and test the connection.'];
}

/** Where Tocsin is and the key for it, if this add-on was downloaded there. */
function tocsin_brought(): array
{
    $values = is_file(__DIR__ . '/brought.php') ? include __DIR__ . '/brought.php' : [];
    return array_intersect_key((array) $values, ['server_url' => '', 'api_key' => '']);
}

function tocsin_deactivate(): array
{
    $folder = Places::found(tocsin_root());
    return ['status' => 'success', 'description' => 'Nothing is recorded any more. Settings and unsent events stay in '
        . ($folder ?? 'no folder') . ' until you delete it.'];
}

/** Called when the version has changed: the settings are written as this version writes them. */
function tocsin_upgrade(array $vars): void
{
    Settings::save(tocsin_root(), Settings::saved(tocsin_root()));
}

function tocsin_output(array $vars): void
{
    $isPost = ($_SERVER['REQUEST_METHOD'] ?? '') === 'POST';
    $notices = $isPost ? (new AdminActions(tocsin_root()))->perform($_POST) : [];
    echo (new AdminPage(tocsin_root(), $vars['modulelink'] ?? 'addonmodules.php?module=tocsin'))->html($notices);
}
