<?php

namespace Tocsin\Bridge;

/**
 * How far sending has come and when it may go on; on disk, because no PHP process lives long.
 */
final class FlushState
{
    const FILE = 'flush.json';

    /** @var array<string,int[]> stream => segment and offset up to which everything was taken by the server */
    public $positions = [Spool::QUIET => [0, 0], Spool::LOUD => [0, 0]];
    /** @var array<string,int[]> the same behind the batch that is being sent; what lies before must not be dropped */
    public $inFlight = [Spool::QUIET => [0, 0], Spool::LOUD => [0, 0]];
    /** @var int events taken, refused or unreadable: done with */
    public $settled = 0;
    public $refused = 0;
    public $failures = 0;
    public $notBefore = 0.0;
    /** @var float the server's own wish (Retry-After), which even the command line respects */
    public $askedUntil = 0.0;
    public $lastAttempt = 0.0;
    public $lastSuccess = 0.0;
    public $lastError = '';
    public $reportedDropped = 0;
    public $reportedLost = 0;

    public static function load(Folder $folder): self
    {
        $state = new self();
        $saved = json_decode($folder->read(self::FILE), true);
        foreach (is_array($saved) ? $saved : [] as $name => $value) {
            if (property_exists($state, $name)) {
                $state->$name = $value;
            }
        }
        return $state;
    }

    /** A full disk keeps the old file: then the same events are sent again, which does no harm. */
    public function save(Folder $folder): void
    {
        $folder->write(self::FILE, json_encode(get_object_vars($this)));
    }

    public function succeeded(float $now): void
    {
        $this->failures = 0;
        $this->notBefore = $this->askedUntil = 0.0;
        $this->lastSuccess = $now;
        $this->lastError = '';
    }

    public function failed(string $error, Verdict $verdict, float $now): void
    {
        $this->failures++;
        $this->lastError = $error;
        $this->askedUntil = $verdict->retryAfter > 0 ? $now + $verdict->retryAfter : 0.0;
        $this->notBefore = $now + max($verdict->retryAfter, self::pause($this->failures, $verdict->isOurFault));
    }

    /** Doubles from ten seconds to fifteen minutes; a wrong key will not get right by asking often. */
    private static function pause(int $failures, bool $isOurFault): float
    {
        $seconds = $isOurFault ? 900 : min(900, 10 * 2 ** min(10, $failures - 1));
        return $seconds * random_int(50, 100) / 100; // many shops must not come back in the same second
    }
}
