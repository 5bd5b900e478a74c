<?php

namespace Tocsin\Bridge;

/**
 * The only part of the bridge that WHMCS calls: one callback per hook, which never returns and never throws.
 */
final class Hooks
{
    /** Late, so that what is observed has happened and no other hook waits for us. */
    const PRIORITY = 1000;

    /** @var Bridge|null built at the first hook of a request, or at the end of a page without one */
    private static $bridge;

    /** @var string WHMCS's folder */
    private static $root = '';

    public static function register(string $root): void
    {
        if (defined('TOCSIN_BRIDGE_REGISTERED')) {
            return; // add-on and single file are both installed: one of them is enough
        }
        define('TOCSIN_BRIDGE_REGISTERED', true);
        self::$root = $root;
        foreach (array_keys(HookTable::EVENTS + HookTable::METRICS) as $hook) {
            // Some hooks pass several arguments or an object instead of $vars.
            add_hook($hook, self::PRIORITY, static function (...$args) use ($hook) {
                Hooks::fired($hook, $args);
            });
        }
        $clock = new PageClock();
        register_shutdown_function([self::class, 'pageOver'], $clock);
        $clock->listen();
    }

    public static function fired(string $hook, array $args): void
    {
        try {
            self::bridge()->hook($hook, $args);
        } catch (\Throwable $fault) {
            Faults::note($fault);
        }
    }

    /** The script has ended, by whatever. */
    public static function pageOver(PageClock $clock): void
    {
        try {
            $totals = $clock->totals(microtime(true));
            if ($totals !== []) {
                self::bridge()->page($totals);
            }
        } catch (\Throwable $fault) {
            Faults::note($fault);
        }
    }

    private static function bridge(): Bridge
    {
        if (self::$bridge === null) {
            self::$bridge = new Bridge(Settings::load(self::$root));
        }
        return self::$bridge;
    }

    public static function root(): string
    {
        return self::$root;
    }
}
