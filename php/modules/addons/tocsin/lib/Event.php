<?php

namespace Tocsin\Bridge;

/**
 * The envelope of an event: identity, time and JSON. Source and sequence are added by the spool, under its lock.
 */
final class Event
{
    /** Broken UTF-8 from a gateway must not cost the event. */
    const JSON = JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE;

    public static function json(array $event, float $now): string
    {
        $envelope = ['id' => self::uuid7($now), 'occurred_at' => self::time($now)];
        $json = json_encode($envelope + $event, self::JSON);
        if ($json === false) {
            throw new \RuntimeException('event is no JSON: ' . json_last_error_msg());
        }
        return $json;
    }

    /** Version 7: sorts by time, which keeps the server's index in order. */
    public static function uuid7(float $now): string
    {
        $hex = sprintf('%012x', (int) ($now * 1000)) . bin2hex(random_bytes(10));
        $hex[12] = '7';
        $hex[16] = '89ab'[hexdec($hex[16]) & 3];
        return substr($hex, 0, 8) . '-' . substr($hex, 8, 4) . '-' . substr($hex, 12, 4)
            . '-' . substr($hex, 16, 4) . '-' . substr($hex, 20);
    }

    /** RFC 3339, UTC, milliseconds. */
    public static function time(float $now): string
    {
        $milliseconds = (int) floor($now * 1000);
        return gmdate('Y-m-d\TH:i:s', intdiv($milliseconds, 1000)) . sprintf('.%03dZ', $milliseconds % 1000);
    }
}
