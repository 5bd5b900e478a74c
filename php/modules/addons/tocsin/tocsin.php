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
use Tocsin\Bridge\Brought;
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
    try {
        $brought = new Brought(__DIR__);
        $told = $brought->takeOver(tocsin_root()) ? 'Server address and API key came with the download. ' : '';
        $next = Settings::load(tocsin_root())->isComplete() ? 'test the connection' : 'enter the server address and the API key';
        $told .= "Now open Addons > Tocsin and $next. " . $brought->warning(tocsin_root());
        return ['status' => 'success', 'description' => rtrim($told)];
    } catch (\Throwable $fault) {
        return ['status' => 'error', 'description' => $fault->getMessage()];
    }
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
    $warning = (new Brought(__DIR__))->warning(tocsin_root());
    if ($warning !== '') {
        $notices[] = ['warning', $warning];
    }
    echo (new AdminPage(tocsin_root(), $vars['modulelink'] ?? 'addonmodules.php?module=tocsin'))->html($notices);
}
