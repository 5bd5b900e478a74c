<?php

namespace Tocsin\Bridge;

/**
 * An HTTP answer, or (status 0) why there is none.
 */
final class Response
{
    public $status;
    public $body;
    public $retryAfter;
    public $error;

    public function __construct(int $status, string $body, string $retryAfter = '', string $error = '')
    {
        $this->status = $status;
        $this->body = $body;
        $this->retryAfter = self::seconds($retryAfter);
        $this->error = $error;
    }

    /** Retry-After is a number of seconds or a date. */
    private static function seconds(string $header): int
    {
        if (ctype_digit($header)) {
            return (int) $header;
        }
        return max(0, (int) strtotime($header) - time());
    }

    /** A proxy answers 400 too, to anything: only Tocsin's own word may condemn an event. */
    public function isTocsin(): bool
    {
        return isset(json_decode($this->body, true)['title']);
    }

    /** The server's own words, if it spoke as Tocsin does. */
    public function detail(): string
    {
        $problem = json_decode($this->body, true);
        $detail = is_array($problem) ? $problem['detail'] ?? $problem['title'] ?? '' : '';
        return Redactor::clip(is_string($detail) ? $detail : '', 300);
    }
}
