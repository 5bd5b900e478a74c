<?php

namespace Tocsin\Bridge;

/**
 * What the bridge does when the page is over: keep the counts, and send if the visitor is not kept waiting for it.
 */
final class AfterResponse
{
    public static function arm(Bridge $bridge, Settings $settings): void
    {
        register_shutdown_function(static function () use ($bridge, $settings) {
            // Registered once more from within, so that it runs after everyone else's: the response is complete.
            register_shutdown_function([self::class, 'run'], $bridge, $settings);
        });
    }

    public static function run(Bridge $bridge, Settings $settings): void
    {
        try {
            if (self::isDue($settings) && self::released()) {
                $bridge->flush(Flusher::PAGE_SECONDS);
            } else {
                $bridge->rest();
            }
        } catch (\Throwable $fault) {
            Faults::note($fault, $settings);
        }
    }

    private static function isDue(Settings $settings): bool
    {
        if (!self::canRelease()) {
            return false;
        }
        $state = FlushState::load(Folder::opened($settings->folder));
        $now = microtime(true);
        return $now >= $state->notBefore && $now - $state->lastAttempt >= $settings->flushSeconds;
    }

    private static function canRelease(): bool
    {
        return function_exists('fastcgi_finish_request') || function_exists('litespeed_finish_request');
    }

    /** Lets the visitor go: the session as well, or their next page would wait for its lock. */
    private static function released(): bool
    {
        if (session_status() === PHP_SESSION_ACTIVE) {
            session_write_close();
        }
        ignore_user_abort(true);
        return function_exists('fastcgi_finish_request') ? fastcgi_finish_request() : litespeed_finish_request();
    }
}
