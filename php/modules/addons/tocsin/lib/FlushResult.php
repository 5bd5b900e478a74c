<?php

namespace Tocsin\Bridge;

/**
 * How a flush ended, in a word for programs and a sentence for people.
 */
final class FlushResult
{
    const DONE = 'done';
    const FAILED = 'failed';
    const BUSY = 'busy';
    const WAITING = 'waiting';
    const OUT_OF_TIME = 'out of time';

    public $status;
    public $message;
    public $sent;

    public function __construct(string $status, string $message, int $sent = 0)
    {
        $this->status = $status;
        $this->message = $message;
        $this->sent = $sent;
    }
}
