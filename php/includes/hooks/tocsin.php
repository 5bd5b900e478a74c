<?php

/**
 * The Tocsin bridge in a single file. Put it into WHMCS's `includes/hooks/`, and `tocsin-config.php` beside WHMCS's
 * folder. To send from a cron line: `php includes/hooks/tocsin.php`.
 *
 * Made by build.php from the classes of the add-on: change those, then run `php php/build.php`.
 */

namespace Tocsin\Bridge;

// Not declared twice if the add-on is installed as well, whichever of the two WHMCS loads first.
if (!class_exists('Tocsin\Bridge\Hooks', false)) {

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

/**
 * What is sent in one request: the next lines of both streams in the order of their numbers.
 */
final class Batch
{
    /** @var Line[] */
    public $lines = [];
    /** @var Line[] */
    public $torn = [];
    /** @var array<string,int[]> positions behind the last line taken */
    public $positions;

    private $bytes = 0;

    /** @param int $last the highest number that is completely written */
    public static function next(Segments $segments, array $positions, int $last, int $maxLines, int $maxBytes): self
    {
        $batch = new self();
        $batch->positions = $positions;
        $cursors = [];
        foreach (Spool::STREAMS as $stream) {
            $cursors[$stream] = new StreamCursor($segments, $stream, $positions[$stream]);
        }
        while (($line = self::lowest($cursors)) !== null && $line->sequence <= $last) {
            if (!$batch->add($line, $maxLines, $maxBytes)) {
                break;
            }
            $cursors[$line->stream]->take();
        }
        return $batch;
    }

    private static function lowest(array $cursors)
    {
        $lowest = null;
        foreach ($cursors as $cursor) {
            $line = $cursor->peek();
            if ($line !== null && ($lowest === null || $line->sequence < $lowest->sequence)) {
                $lowest = $line;
            }
        }
        return $lowest;
    }

    private function add(Line $line, int $maxLines, int $maxBytes): bool
    {
        if ($line->isTorn()) {
            $this->torn[] = $line;
        } else {
            $length = strlen($line->text) + 1;
            if (count($this->lines) === $maxLines || ($this->lines !== [] && $this->bytes + $length > $maxBytes)) {
                return false;
            }
            $this->lines[] = $line;
            $this->bytes += $length;
        }
        $this->positions[$line->stream] = $line->end;
        return true;
    }

    public function body(): string
    {
        $body = '';
        foreach ($this->lines as $line) {
            $body .= $line->text . "\n";
        }
        return $body;
    }
}

/**
 * A small log for the queue view: JSON lines, of which the newest are kept.
 */
final class BoundedLog
{
    const REFUSED = 'refused.ndjson';
    const BYTES = 500000;

    private $folder;
    private $name;

    public function __construct(Folder $folder, string $name)
    {
        $this->folder = $folder;
        $this->name = $name;
    }

    public function add(array $entry): void
    {
        $file = $this->folder->lock($this->name);
        if ($file === null) {
            return;
        }
        fseek($file, 0, SEEK_END);
        if (ftell($file) > self::BYTES) {
            $this->folder->write('older-' . $this->name, $this->folder->read($this->name));
            ftruncate($file, 0);
            rewind($file);
        }
        @fwrite($file, json_encode(['at' => Event::time(microtime(true))] + $entry, Event::JSON) . "\n");
        fclose($file);
    }

    /** @return array[] newest first */
    public function newest(int $count): array
    {
        $lines = array_filter(explode("\n", $this->folder->read($this->name)));
        $entries = array_map(static function ($line) {
            return json_decode($line, true);
        }, array_slice($lines, -$count));
        return array_reverse(array_filter($entries));
    }
}

/**
 * Turns what a hook was given into one line of the spool. It decides nothing: severity, title, subject and
 * deduplication are the server's, from `type` and `attributes`.
 */
final class Bridge
{
    const VERSION = '0.1.0';

    /** WHMCS calls this at the end of every cron run: the moment to send without keeping a visitor waiting. */
    const CRON_DONE = 'AfterCronJob';

    private $settings;
    private $picker;
    private $counters;
    private $spool;
    private $armed = false;

    public function __construct(Settings $settings)
    {
        $this->settings = $settings;
        $this->picker = new Picker($settings);
        $this->counters = new Counters();
    }

    public function hook(string $hook, array $args): void
    {
        if (!$this->settings->isComplete()) {
            return; // nobody to tell yet: recording would only fill the disk
        }
        if (isset(HookTable::EVENTS[$hook])) {
            $this->event($hook, HookTable::EVENTS[$hook], $args);
        } else {
            $this->counters->count(HookTable::METRICS[$hook], $args, microtime(true));
        }
        $this->afterwards($hook);
    }

    /** What a page came to, when it is over. */
    public function page(array $totals): void
    {
        if ($this->settings->isComplete()) {
            $this->counters->add($totals);
            $this->afterwards('');
        }
    }

    private function event(string $hook, array $row, array $args): void
    {
        $vars = Picker::named($args, $row['params']);
        $attributes = $this->picker->attributes($row, $vars);
        if ($attributes === null) {
            return;
        }
        $event = ['type' => $row['type'], 'attributes' => ['hook' => $hook] + $attributes];
        $message = isset($row['message']) ? $this->picker->message($row['message'], $vars) : '';
        if ($message !== '') {
            $event['message'] = $message;
        }
        $this->spool()->append($row['quiet'] ? Spool::QUIET : Spool::LOUD, Event::json($event, microtime(true)));
    }

    /** The spool is opened at the first event; a page that only counts never touches it before its end. */
    public function spool(): Spool
    {
        if ($this->spool === null) {
            $this->spool = new Spool(Folder::opened($this->settings->folder), $this->settings->maxBytes);
        }
        return $this->spool;
    }

    private function afterwards(string $hook): void
    {
        if ($hook === self::CRON_DONE) {
            $this->flush(Flusher::CRON_SECONDS);
        } elseif (!$this->armed) {
            $this->armed = true;
            AfterResponse::arm($this, $this->settings);
        }
    }

    /** Adds this request's counts to the install's; once a minute the sum becomes one event. */
    public function foldCounters(): void
    {
        $jar = new MetricJar(Folder::opened($this->settings->folder));
        $due = $jar->fold($this->counters->take(), microtime(true));
        if ($due !== []) {
            $event = ['type' => 'whmcs.metrics', 'status' => 'info', 'severity' => 1, 'attributes' => $due];
            $this->spool()->append(Spool::QUIET, Event::json($event, microtime(true)));
        }
    }

    private function noteMaintenance(): void
    {
        $mode = new MaintenanceMode(Folder::opened($this->settings->folder));
        $type = $mode->change();
        if ($type !== null) {
            $this->spool()->append(Spool::LOUD, Event::json(['type' => $type], microtime(true)));
            $mode->keep($type);
        }
    }

    public function flush(float $seconds, bool $insist = false): FlushResult
    {
        $this->foldCounters();
        $this->noteMaintenance();
        return Flusher::of($this->settings, $this->spool())->run(microtime(true) + $seconds, $insist);
    }

    /** The end of a request without a flush: only what was counted in it has to be kept. */
    public function rest(): void
    {
        if ($this->counters->any()) {
            $this->foldCounters();
        }
    }
}

/**
 * `php flush.php`: sends all that waits, for a cron line of its own or by hand.
 */
final class Command
{
    const USAGE = <<<'USAGE'
Sends the events that wait in the spool to the Tocsin server.

  --now          try even if the server asked to be left alone for a while
  --whmcs=PATH   the folder of WHMCS, if this file is not inside it
  --quiet        say nothing unless it fails
  --help         this text

Exit codes: 0 nothing is left to send, 1 it failed, 2 wrong usage.

USAGE;

    const LONGEST_RUN = 3600.0;

    /** @param string[] $arguments as in $argv */
    public static function run(string $root, array $arguments): int
    {
        $options = self::options(array_slice($arguments, 1));
        if ($options === null) {
            fwrite(STDERR, self::USAGE);
            return 2;
        }
        if (isset($options['help'])) {
            echo self::USAGE;
            return 0;
        }
        try {
            $result = self::flush(Places::root($options['whmcs'] ?? $root), isset($options['now']));
        } catch (\Throwable $fault) {
            $result = new FlushResult(FlushResult::FAILED, $fault->getMessage());
        }
        return self::tell($result, isset($options['quiet']));
    }

    /** @return array|null null for anything that is no option of ours */
    private static function options(array $arguments)
    {
        $options = [];
        foreach ($arguments as $argument) {
            if (!preg_match('/^--(now|quiet|help|whmcs(?==.))(?:=(.+))?$/D', $argument, $found)) {
                return null;
            }
            $options[$found[1]] = $found[2] ?? true;
        }
        return $options;
    }

    private static function flush(string $root, bool $now): FlushResult
    {
        $settings = Settings::load($root);
        if (!$settings->isComplete()) {
            return new FlushResult(FlushResult::FAILED, "No server address and API key were found for WHMCS in $root. "
                . 'Enter them on the settings page of the add-on, or in ' . Settings::PHP_FILE . '.');
        }
        if ($now) {
            self::forgetPause(Folder::opened($settings->folder));
        }
        return (new Bridge($settings))->flush(self::LONGEST_RUN, true);
    }

    private static function forgetPause(Folder $folder): void
    {
        $state = FlushState::load($folder);
        $state->askedUntil = 0.0;
        $state->save($folder);
    }

    private static function tell(FlushResult $result, bool $quiet): int
    {
        $isFine = $result->status === FlushResult::DONE || $result->status === FlushResult::BUSY;
        if (!$isFine) {
            fwrite(STDERR, "tocsin: $result->message\n");
        } elseif (!$quiet) {
            echo "tocsin: $result->message\n";
        }
        return $isFine ? 0 : 1;
    }
}

/**
 * Counts and timings of the metric hooks of one request, in memory.
 */
final class Counters
{
    /** Enough for the mail templates of any install; a bound, because names come from outside. */
    const MOST_NAMES = 20;

    private $totals = [];
    private $started = [];

    public function count(array $row, array $args, float $now): void
    {
        $vars = Picker::named($args, $row['params']);
        $total = &$this->totals[$row['metric']];
        $total['count'] = ($total['count'] ?? 0) + 1;
        if (isset($row['failed']) && array_key_exists($row['failed'], $vars) && !$vars[$row['failed']]) {
            $total['failed'] = ($total['failed'] ?? 0) + 1;
        }
        if (isset($row['split_by'])) {
            self::countName($total, $vars[$row['split_by']] ?? null);
        }
        if (isset($row['timed_from'], $this->started[$row['timed_from']])) {
            self::time($total, $now - $this->started[$row['timed_from']]);
        }
        $this->started[$row['metric']] = $now;
    }

    private static function countName(&$total, $name): void
    {
        $name = is_string($name) ? Redactor::clip($name, 64) : '';
        if (isset($total['by'][$name]) || ($name !== '' && count($total['by'] ?? []) < self::MOST_NAMES)) {
            $total['by'][$name] = ($total['by'][$name] ?? 0) + 1;
        }
    }

    private static function time(&$total, float $seconds): void
    {
        $total['seconds_sum'] = round(($total['seconds_sum'] ?? 0) + $seconds, 3);
        $total['seconds_max'] = round(max($total['seconds_max'] ?? 0, $seconds), 3);
    }

    /** Totals of something that is no hook. */
    public function add(array $totals): void
    {
        $this->totals += $totals;
    }

    public function any(): bool
    {
        return $this->totals !== [];
    }

    /** Hands out what was counted and starts again from nothing. */
    public function take(): array
    {
        $totals = $this->totals;
        $this->totals = [];
        return $totals;
    }
}

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

/**
 * What went wrong inside a hook: kept for the queue view, never shown to a visitor.
 */
final class Faults
{
    const FILE = 'faults.json';

    public static function note(\Throwable $fault, ?Settings $settings = null): void
    {
        try {
            $folder = Folder::opened(($settings ?? Settings::load(Hooks::root()))->folder);
            $file = $folder->lock(self::FILE);
            if ($file !== null) {
                $earlier = json_decode((string) stream_get_contents($file), true);
                $count = (int) ($earlier['count'] ?? 0) + 1;
                $folder->rewrite($file, json_encode(['count' => $count, 'at' => Event::time(microtime(true)),
                    'message' => Redactor::clip($fault->getMessage(), 300)], Event::JSON));
                fclose($file);
            }
        } catch (\Throwable $second) {
            // The folder itself is out of order: the settings page says so when it is opened.
        }
    }

    public static function forget(Folder $folder): void
    {
        @unlink($folder->path(self::FILE));
    }

    /** @return array{count: int, at: string, message: string}|array{} */
    public static function last(Folder $folder): array
    {
        return json_decode($folder->read(self::FILE), true) ?: [];
    }
}

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

/**
 * Sends what is in the spool, in order, and moves on only past what the server has answered for.
 *
 * Killed at any point it sends the same lines again, which the server knows by their ids.
 */
final class Flusher
{
    const LOCK = 'flush.lock';

    const PAGE_SECONDS = 3.0;
    const CRON_SECONDS = 10.0;
    const REQUEST_SECONDS = 10.0;

    const MOST_LINES = 500;
    const MOST_BYTES = 1000000;

    private $settings;
    private $spool;
    private $folder;
    private $sender;
    private $state;
    private $sent = 0;

    private function __construct(Settings $settings, Spool $spool)
    {
        $this->settings = $settings;
        $this->spool = $spool;
        $this->folder = $spool->folder;
        $this->sender = new Sender($settings);
    }

    public static function of(Settings $settings, Spool $spool): self
    {
        return new self($settings, $spool);
    }

    /** @param bool $insist a person or the command line asks: do not wait for the end of our own pause */
    public function run(float $deadline, bool $insist = false): FlushResult
    {
        if (!$this->settings->isComplete()) {
            return new FlushResult(FlushResult::FAILED, 'Server address or API key is missing. Enter both in the settings.');
        }
        $lock = $this->folder->lock(self::LOCK, 0);
        if ($lock === null) {
            return new FlushResult(FlushResult::BUSY, 'Another process is sending already.');
        }
        try {
            $this->state = FlushState::load($this->folder);
            return $this->pausing($insist) ?? $this->send($deadline);
        } finally {
            $this->state->save($this->folder);
            fclose($lock);
        }
    }

    private function pausing(bool $insist)
    {
        $until = $insist ? $this->state->askedUntil : $this->state->notBefore;
        if ($until <= microtime(true)) {
            return null;
        }
        return new FlushResult(FlushResult::WAITING, 'Waiting until ' . Event::time($until) . ': ' . $this->state->lastError);
    }

    private function send(float $deadline): FlushResult
    {
        $this->state->lastAttempt = microtime(true);
        $this->state->save($this->folder); // page views look here before they try
        $this->spool->adoptSetAside();
        $this->reportLosses();
        $most = self::MOST_LINES;
        while (($head = $this->spool->withHead()) !== null) {
            $batch = $this->nextBatch($head, $most);
            if ($batch->lines === []) {
                return $this->finished($head, $batch);
            }
            if (microtime(true) >= $deadline) {
                return new FlushResult(FlushResult::OUT_OF_TIME, 'The rest follows with the next run.', $this->sent);
            }
            if (!$this->claim($batch, $head)) {
                continue;
            }
            $seconds = min(self::REQUEST_SECONDS, max(0.5, $deadline - microtime(true)));
            $verdict = Verdict::on($this->sender->post($batch->body(), $seconds));
            if ($verdict->kind === Verdict::LATER) {
                $this->state->failed($verdict->reason, $verdict, microtime(true));
                return new FlushResult(FlushResult::FAILED, $verdict->reason, $this->sent);
            }
            $most = $this->settle($batch, $verdict, $most);
        }
        return new FlushResult(FlushResult::BUSY, 'The spool is locked by another process.', $this->sent);
    }

    private function nextBatch(Head $head, int $most): Batch
    {
        return Batch::next($this->spool->segments, $this->state->positions, $head->sequence, $most, self::MOST_BYTES);
    }

    /** Protects the batch from being dropped while it is sent; false if some of it was dropped since it was read. */
    private function claim(Batch $batch, Head $head): bool
    {
        $now = $this->spool->withHead(function () use ($batch) {
            $this->state->inFlight = $batch->positions;
            $this->state->save($this->folder);
        });
        return $now !== null && $now->dropped() === $head->dropped();
    }

    /** @return int how many lines the next batch may have: halving finds a line at fault, doubling forgets it */
    private function settle(Batch $batch, Verdict $verdict, int $most): int
    {
        if ($verdict->kind === Verdict::SPLIT && count($batch->lines) > 1) {
            return intdiv(count($batch->lines) + 1, 2);
        }
        $this->state->succeeded(microtime(true));
        if ($verdict->kind === Verdict::SPLIT) {
            $this->refuse($batch->lines[0], $verdict->reason);
        } else {
            $this->sent += count($batch->lines);
            foreach ($verdict->rejected as $member) {
                $line = $batch->lines[(int) ($member['index'] ?? -1)] ?? null;
                if ($line !== null) {
                    $this->refuse($line, $member['errors'] ?? 'no reason given');
                }
            }
        }
        $this->advance($batch);
        return min(self::MOST_LINES, $most * 2);
    }

    private function refuse(Line $line, $errors): void
    {
        $this->state->refused++;
        (new BoundedLog($this->folder, BoundedLog::REFUSED))->add(['errors' => $errors, 'event' => $line->text]);
    }

    private function advance(Batch $batch): void
    {
        foreach ($batch->torn as $line) {
            $this->refuse($line, 'the line was torn by a crash');
        }
        $this->state->settled += count($batch->lines);
        $this->state->positions = $batch->positions;
        $this->state->save($this->folder);
        $this->removeSent();
    }

    private function removeSent(): void
    {
        foreach (Spool::STREAMS as $stream) {
            foreach ($this->spool->segments->numbers($stream) as $number) {
                if ($number < $this->state->positions[$stream][0]) {
                    $this->spool->segments->remove($stream, $number);
                }
            }
        }
    }

    private function finished(Head $head, Batch $batch): FlushResult
    {
        if ($batch->torn !== []) {
            $this->advance($batch);
        }
        $this->closeSegments();
        $this->state->settled = $head->sequence - $head->dropped() - $head->lost;
        return new FlushResult(FlushResult::DONE, "Nothing is waiting; $this->sent sent.", $this->sent);
    }

    /** What was written so far is all sent: the next event begins a new file and the old ones go. */
    private function closeSegments(): void
    {
        $this->spool->withHead(function (Head $head) {
            foreach (Spool::STREAMS as $stream) {
                $isSent = $this->state->positions[$stream] === [$head->segment[$stream], $head->size[$stream]];
                if ($head->segment[$stream] > 0 && $isSent) {
                    $this->spool->segments->remove($stream, $head->segment[$stream]);
                    $head->segment[$stream] = $head->size[$stream] = 0;
                }
            }
        });
    }

    /** What had to be dropped or could not be written is itself worth an event, once. */
    private function reportLosses(): void
    {
        $head = $this->spool->withHead();
        if ($head === null) {
            return;
        }
        $dropped = $head->dropped() - $this->state->reportedDropped;
        $lost = $head->lost - $this->state->reportedLost;
        if ($dropped <= 0 && $lost <= 0) {
            return;
        }
        $attributes = ['dropped' => $dropped, 'lost' => $lost, 'dropped_quiet_total' => $head->droppedQuiet,
            'dropped_loud_total' => $head->droppedLoud];
        $event = ['type' => 'bridge.spool_dropped', 'attributes' => $attributes];
        $this->spool->append(Spool::LOUD, Event::json($event, microtime(true)));
        $this->state->reportedDropped += $dropped;
        $this->state->reportedLost += $lost;
        $this->state->save($this->folder);
    }
}

/**
 * The private folder (0700) that holds spool, state and settings, and the ways to write in it.
 */
final class Folder
{
    /** How long a page may wait for another process: after that it does without. */
    const WAIT_SECONDS = 0.05;

    private $path;

    private function __construct(string $path)
    {
        $this->path = $path;
    }

    /** @throws \RuntimeException that says what is wrong with the folder and what to do */
    public static function opened(string $path): self
    {
        if (!self::isPrivate($path)) {
            self::create($path);
        }
        return new self($path);
    }

    /** One lstat: cheap enough for every request. */
    public static function isPrivate(string $path): bool
    {
        $found = @lstat($path);
        return $found !== false && ($found['mode'] & 0170077) === 0040000 && self::isTrusted($path, $found['uid']);
    }

    /** Anyone may make a folder in the shared temporary folder; there it must be our own. */
    private static function isTrusted(string $path, int $owner): bool
    {
        return !Places::isTemporary($path) || !function_exists('posix_geteuid') || $owner === posix_geteuid();
    }

    private static function create(string $path): void
    {
        if (!is_dir($path)) {
            @mkdir($path, 0700, true);
        } elseif (!is_link($path)) {
            @chmod($path, 0700);
        }
        clearstatcache(true, $path);
        if (!self::isPrivate($path) || !is_writable($path)) {
            throw new \RuntimeException("The folder $path cannot be used: it must belong to the web server's user, "
                . 'with mode 0700. Make it so, or choose another folder in the settings.');
        }
        // If the folder lies inside the web root after all, Apache at least must not hand it out.
        @file_put_contents("$path/.htaccess", "Require all denied\nDeny from all\n");
    }

    public function path(string $name = ''): string
    {
        return $name === '' ? $this->path : $this->path . '/' . $name;
    }

    /** @return resource the file opened for reading and writing, made if need be */
    public function file(string $name)
    {
        $path = $this->path($name);
        $file = @fopen($path, 'r+b');
        if ($file === false) {
            $file = @fopen($path, 'x+b') ?: @fopen($path, 'r+b');
            $this->claim($path);
        }
        if ($file === false) {
            throw new \RuntimeException("$path cannot be opened. It must belong to the user that runs the web server, "
                . 'and the disk must not be full.');
        }
        stream_set_read_buffer($file, 0); // other processes write too: never answer from memory
        return $file;
    }

    /** New files are private, and belong to the folder's owner even when cron runs as root. */
    private function claim(string $path): void
    {
        @chmod($path, 0600);
        if (function_exists('posix_geteuid') && posix_geteuid() === 0) {
            @chown($path, (int) @fileowner($this->path));
            @chgrp($path, (int) @filegroup($this->path));
        }
    }

    /** @return resource|null the locked file; null if another process keeps it */
    public function lock(string $name, float $wait = self::WAIT_SECONDS)
    {
        $file = $this->file($name);
        return self::locked($file, $wait) ? $file : null;
    }

    /** A stopped process may hold a lock for ever: a page gives up after a short while. */
    public static function locked($file, float $wait): bool
    {
        if (flock($file, LOCK_EX | LOCK_NB)) {
            return true;
        }
        $until = microtime(true) + $wait;
        while (microtime(true) < $until) {
            usleep(random_int(100, 600));
            if (flock($file, LOCK_EX | LOCK_NB)) {
                return true;
            }
        }
        return false;
    }

    /** Replaces the content of an open file in place, which works on a full disk too. */
    public function rewrite($file, string $content): bool
    {
        return rewind($file) && fwrite($file, $content) === strlen($content) && ftruncate($file, strlen($content));
    }

    /** Replaces a file as a whole: a reader sees the old or the new content. */
    public function write(string $name, string $content): bool
    {
        $temporary = $this->path($name . '.' . bin2hex(random_bytes(4)) . '.tmp');
        $written = @file_put_contents($temporary, $content) === strlen($content);
        $this->claim($temporary);
        if ($written && @rename($temporary, $this->path($name))) {
            return true;
        }
        @unlink($temporary);
        return false;
    }

    public function read(string $name): string
    {
        return (string) @file_get_contents($this->path($name));
    }
}

/**
 * The spool's own record: who numbers, how far, and where each stream ends. One line of fixed width, so that it can be
 * overwritten in place on a full disk, with a checksum, because a power failure may leave anything.
 */
final class Head
{
    const FILE = 'head';
    const FORMAT = 'tocsin1 %s %016d %016d %016d %016d %016d %016d %016d %016d';

    /** @var string the install's name at the server; a new one whenever numbering starts anew */
    public $source;
    public $sequence = 0;
    /** @var int[] stream => first sequence of the segment that is written now; 0: none */
    public $segment = [Spool::QUIET => 0, Spool::LOUD => 0];
    /** @var int[] stream => size of that segment after the last complete line */
    public $size = [Spool::QUIET => 0, Spool::LOUD => 0];
    public $droppedQuiet = 0;
    public $droppedLoud = 0;
    public $lost = 0;

    public function __construct(string $source)
    {
        $this->source = $source;
    }

    public function dropped(): int
    {
        return $this->droppedQuiet + $this->droppedLoud;
    }

    public function encoded(): string
    {
        $fields = sprintf(
            self::FORMAT,
            $this->source,
            $this->sequence,
            $this->segment[Spool::QUIET],
            $this->size[Spool::QUIET],
            $this->segment[Spool::LOUD],
            $this->size[Spool::LOUD],
            $this->droppedQuiet,
            $this->droppedLoud,
            $this->lost
        );
        return $fields . ' ' . hash('crc32b', $fields) . "\n";
    }

    /** @return self|null null if the record is missing or damaged */
    public static function decoded(string $record)
    {
        $fields = explode(' ', rtrim($record));
        $checksum = array_pop($fields);
        if (count($fields) !== 10 || $fields[0] !== 'tocsin1' || hash('crc32b', implode(' ', $fields)) !== $checksum) {
            return null;
        }
        $head = new self($fields[1]);
        $head->sequence = (int) $fields[2];
        $head->segment = [Spool::QUIET => (int) $fields[3], Spool::LOUD => (int) $fields[5]];
        $head->size = [Spool::QUIET => (int) $fields[4], Spool::LOUD => (int) $fields[6]];
        $head->droppedQuiet = (int) $fields[7];
        $head->droppedLoud = (int) $fields[8];
        $head->lost = (int) $fields[9];
        return $head;
    }
}

/**
 * Made by build.php from contracts/whmcs-hooks.json: change that file, then run `php php/build.php`.
 */
final class HookTable
{
    const EVENTS = [
        'AcceptQuote' => ['type' => 'quote.accepted', 'quiet' => true, 'params' => ['quoteid', 'invoiceid'], 'fields' => ['quoteid' => ['int', 'quoteid'], 'invoiceid' => ['int', 'invoiceid']], 'subject' => ['quoteid']],
        'AddInvoiceLateFee' => ['type' => 'invoice.late_fee_added', 'quiet' => true, 'params' => ['invoiceid'], 'fields' => ['invoiceid' => ['int', 'invoiceid']], 'subject' => ['invoiceid']],
        'AddInvoicePayment' => ['type' => 'invoice.payment_applied', 'quiet' => true, 'params' => ['invoiceid'], 'fields' => ['invoiceid' => ['int', 'invoiceid']], 'subject' => ['invoiceid']],
        'AddTransaction' => ['type' => 'transaction.created', 'quiet' => false, 'params' => ['id', 'userid', 'currency', 'gateway', 'date', 'description', 'amountin', 'fees', 'amountout', 'rate', 'transid', 'invocieid', 'refundid'], 'fields' => ['id' => ['int', 'id'], 'userid' => ['int', 'userid'], 'currency' => ['int', 'currency'], 'gateway' => ['text', 'gateway'], 'date' => ['date', 'date'], 'amountin' => ['number', 'amountin'], 'fees' => ['number', 'fees'], 'amountout' => ['number', 'amountout'], 'rate' => ['number', 'rate'], 'transid' => ['text', 'transid'], 'invoiceid' => ['int', 'invoiceid'], 'refundid' => ['int', 'refundid']], 'personal' => ['texts' => ['description' => ['redacted', 'description']]], 'subject' => ['id', 'userid', 'invoiceid'], 'aliases' => ['invocieid' => 'invoiceid']],
        'CancelAndRefundOrder' => ['type' => 'order.cancel_refund_requested', 'quiet' => false, 'params' => ['orderid'], 'fields' => ['orderid' => ['int', 'orderid']], 'subject' => ['orderid']],
        'InvoiceCancelled' => ['type' => 'invoice.cancelled', 'quiet' => true, 'params' => ['invoiceid'], 'fields' => ['invoiceid' => ['int', 'invoiceid']], 'subject' => ['invoiceid']],
        'InvoiceChangeGateway' => ['type' => 'invoice.gateway_changed', 'quiet' => true, 'params' => ['invoiceid', 'paymentmethod'], 'fields' => ['invoiceid' => ['int', 'invoiceid'], 'paymentmethod' => ['text', 'paymentmethod']], 'subject' => ['invoiceid']],
        'InvoiceCreated' => ['type' => 'invoice.created', 'quiet' => true, 'params' => ['source', 'user', 'invoiceid', 'status'], 'fields' => ['source' => ['text', 'source'], 'user' => ['text', 'user'], 'invoiceid' => ['int', 'invoiceid'], 'status' => ['text', 'status']], 'subject' => ['invoiceid']],
        'InvoicePaid' => ['type' => 'invoice.paid', 'quiet' => true, 'params' => ['invoiceid', 'invoice'], 'fields' => ['invoiceid' => ['int', 'invoiceid']], 'subject' => ['invoiceid']],
        'InvoicePaymentReminder' => ['type' => 'invoice.reminder_sent', 'quiet' => false, 'params' => ['invoiceid', 'type'], 'fields' => ['invoiceid' => ['int', 'invoiceid'], 'type' => ['text', 'type']], 'subject' => ['invoiceid']],
        'InvoiceRefunded' => ['type' => 'invoice.refunded', 'quiet' => false, 'params' => ['invoiceid'], 'fields' => ['invoiceid' => ['int', 'invoiceid']], 'subject' => ['invoiceid']],
        'InvoiceSplit' => ['type' => 'invoice.split', 'quiet' => true, 'params' => ['originalinvoiceid', 'newinvoiceid'], 'fields' => ['originalinvoiceid' => ['int', 'originalinvoiceid'], 'newinvoiceid' => ['int', 'newinvoiceid']], 'subject' => ['originalinvoiceid', 'newinvoiceid']],
        'InvoiceUnpaid' => ['type' => 'invoice.unpaid', 'quiet' => false, 'params' => ['invoiceid'], 'fields' => ['invoiceid' => ['int', 'invoiceid']], 'subject' => ['invoiceid']],
        'LogTransaction' => ['type' => 'gateway.callback_logged', 'quiet' => false, 'params' => ['gateway', 'data', 'result'], 'fields' => ['gateway' => ['text', 'gateway'], 'result' => ['redacted', 'result'], 'invoiceid' => ['invoice_in', 'data']], 'subject' => ['gateway']],
        'ManualRefund' => ['type' => 'transaction.manual_refund', 'quiet' => false, 'params' => ['transid', 'amount'], 'fields' => ['transid' => ['text', 'transid'], 'amount' => ['number', 'amount']], 'subject' => ['transid']],
        'QuoteCreated' => ['type' => 'quote.created', 'quiet' => true, 'params' => ['quoteid', 'status'], 'fields' => ['quoteid' => ['int', 'quoteid'], 'status' => ['text', 'status']], 'subject' => ['quoteid']],
        'QuoteStatusChange' => ['type' => 'quote.status_changed', 'quiet' => true, 'params' => ['quoteid', 'status'], 'fields' => ['quoteid' => ['int', 'quoteid'], 'status' => ['text', 'status']], 'subject' => ['quoteid']],
        'AcceptOrder' => ['type' => 'order.accepted', 'quiet' => true, 'params' => ['orderid'], 'fields' => ['orderid' => ['int', 'orderid']], 'subject' => ['orderid']],
        'AddonFraud' => ['type' => 'addon.fraud', 'quiet' => false, 'params' => ['id', 'userid', 'serviceid', 'addonid'], 'fields' => ['id' => ['int', 'id'], 'userid' => ['int', 'userid'], 'serviceid' => ['int', 'serviceid'], 'addonid' => ['int', 'addonid']], 'subject' => ['id', 'serviceid', 'userid']],
        'AfterShoppingCartCheckout' => ['type' => 'order.created', 'quiet' => true, 'params' => ['OrderID', 'OrderNumber', 'ServiceIDs', 'AddonIDs', 'DomainIDs', 'RenewalIDs', 'PaymentMethod', 'InvoiceID', 'TotalDue'], 'fields' => ['OrderID' => ['int', 'OrderID'], 'OrderNumber' => ['int', 'OrderNumber'], 'ServiceIDs' => ['ids', 'ServiceIDs'], 'AddonIDs' => ['ids', 'AddonIDs'], 'DomainIDs' => ['ids', 'DomainIDs'], 'RenewalIDs' => ['ids', 'RenewalIDs'], 'PaymentMethod' => ['text', 'PaymentMethod'], 'InvoiceID' => ['int', 'InvoiceID'], 'TotalDue' => ['number', 'TotalDue']], 'subject' => ['OrderID', 'OrderNumber', 'InvoiceID']],
        'CancelOrder' => ['type' => 'order.cancelled', 'quiet' => true, 'params' => ['orderid'], 'fields' => ['orderid' => ['int', 'orderid']], 'subject' => ['orderid']],
        'DeleteOrder' => ['type' => 'order.deleting', 'quiet' => false, 'params' => ['orderid'], 'fields' => ['orderid' => ['int', 'orderid']], 'subject' => ['orderid']],
        'FraudCheckAwaitingUserInput' => ['type' => 'order.fraud_check_waiting', 'quiet' => true, 'params' => ['orderid', 'ordernumber', 'invoiceid', 'amount', 'fraudresults', 'isfraud', 'clientdetails'], 'fields' => ['orderid' => ['int', 'orderid'], 'ordernumber' => ['int', 'ordernumber'], 'invoiceid' => ['int', 'invoiceid'], 'amount' => ['number', 'amount'], 'isfraud' => ['flag', 'isfraud']], 'subject' => ['orderid', 'invoiceid']],
        'FraudCheckFailed' => ['type' => 'order.fraud_check_failed', 'quiet' => false, 'params' => ['orderid', 'ordernumber', 'invoiceid', 'amount', 'fraudresults', 'isfraud', 'clientdetails'], 'fields' => ['orderid' => ['int', 'orderid'], 'ordernumber' => ['int', 'ordernumber'], 'invoiceid' => ['int', 'invoiceid'], 'amount' => ['number', 'amount'], 'isfraud' => ['flag', 'isfraud']], 'subject' => ['orderid', 'invoiceid']],
        'FraudCheckPassed' => ['type' => 'order.fraud_check_passed', 'quiet' => true, 'params' => ['orderid', 'ordernumber', 'invoiceid', 'amount', 'fraudresults', 'isfraud', 'clientdetails'], 'fields' => ['orderid' => ['int', 'orderid'], 'ordernumber' => ['int', 'ordernumber'], 'invoiceid' => ['int', 'invoiceid'], 'amount' => ['number', 'amount'], 'isfraud' => ['flag', 'isfraud']], 'subject' => ['orderid', 'invoiceid']],
        'FraudOrder' => ['type' => 'order.fraud', 'quiet' => false, 'params' => ['orderid'], 'fields' => ['orderid' => ['int', 'orderid']], 'subject' => ['orderid']],
        'OrderPaid' => ['type' => 'order.paid', 'quiet' => true, 'params' => ['orderId', 'userId', 'invoiceId'], 'fields' => ['orderId' => ['int', 'orderId'], 'userId' => ['int', 'userId'], 'invoiceId' => ['int', 'invoiceId']], 'subject' => ['orderId', 'userId', 'invoiceId']],
        'PendingOrder' => ['type' => 'order.set_pending', 'quiet' => true, 'params' => ['orderid'], 'fields' => ['orderid' => ['int', 'orderid']], 'subject' => ['orderid']],
        'CancellationRequest' => ['type' => 'service.cancellation_requested', 'quiet' => false, 'params' => ['userid', 'relid', 'reason', 'type'], 'fields' => ['userid' => ['int', 'userid'], 'relid' => ['int', 'relid'], 'type' => ['text', 'type']], 'personal' => ['texts' => ['reason' => ['redacted', 'reason']]], 'subject' => ['relid', 'userid']],
        'ServiceDelete' => ['type' => 'service.deleted', 'quiet' => false, 'params' => ['userid', 'clientId', 'serviceid'], 'fields' => ['userid' => ['int', 'userid'], 'clientId' => ['int', 'clientId'], 'serviceid' => ['int', 'serviceid']], 'subject' => ['serviceid', 'clientId']],
        'ServiceEdit' => ['type' => 'service.edited', 'quiet' => true, 'params' => ['userid', 'serviceid'], 'fields' => ['userid' => ['int', 'userid'], 'serviceid' => ['int', 'serviceid']], 'subject' => ['serviceid', 'userid']],
        'ServiceRecurringCompleted' => ['type' => 'service.recurring_limit_reached', 'quiet' => true, 'params' => ['serviceid', 'recurringinvoices'], 'fields' => ['serviceid' => ['int', 'serviceid'], 'recurringinvoices' => ['int', 'recurringinvoices']], 'subject' => ['serviceid']],
        'AddonModuleConfigSave' => ['type' => 'system.addon_module_config_saved', 'quiet' => true, 'params' => [], 'fields' => []],
        'AfterModuleChangePackage' => ['type' => 'service.package_changed', 'quiet' => true, 'params' => ['params'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid']],
        'AfterModuleChangePackageFailed' => ['type' => 'service.package_change_failed', 'quiet' => false, 'params' => ['params', 'failureResponseMessage'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid'], 'message' => 'failureResponseMessage'],
        'AfterModuleChangePassword' => ['type' => 'service.password_changed', 'quiet' => true, 'params' => ['serviceid', 'oldpassword', 'newpassword'], 'fields' => ['serviceid' => ['int', 'serviceid']], 'subject' => ['serviceid']],
        'AfterModuleChangePasswordFailed' => ['type' => 'service.password_change_failed', 'quiet' => false, 'params' => ['params', 'failureResponseMessage'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid'], 'message' => 'failureResponseMessage'],
        'AfterModuleCreate' => ['type' => 'service.provisioned', 'quiet' => true, 'params' => ['params'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid']],
        'AfterModuleCreateFailed' => ['type' => 'service.provision_failed', 'quiet' => false, 'params' => ['params', 'failureResponseMessage'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid'], 'message' => 'failureResponseMessage'],
        'AfterModuleCustom' => ['type' => 'service.custom_command_done', 'quiet' => true, 'params' => ['params'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid']],
        'AfterModuleCustomFailed' => ['type' => 'service.custom_command_failed', 'quiet' => false, 'params' => ['params', 'failureResponseMessage'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid'], 'message' => 'failureResponseMessage'],
        'AfterModuleDeprovisionAddOnFeature' => ['type' => 'addon_feature.deprovisioned', 'quiet' => true, 'params' => ['params'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid']],
        'AfterModuleDeprovisionAddOnFeatureFailed' => ['type' => 'addon_feature.deprovision_failed', 'quiet' => false, 'params' => ['params', 'failureResponseMessage'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid'], 'message' => 'failureResponseMessage'],
        'AfterModuleProvisionAddOnFeature' => ['type' => 'addon_feature.provisioned', 'quiet' => true, 'params' => ['params'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid']],
        'AfterModuleProvisionAddOnFeatureFailed' => ['type' => 'addon_feature.provision_failed', 'quiet' => false, 'params' => ['params', 'failureResponseMessage'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid'], 'message' => 'failureResponseMessage'],
        'AfterModuleSuspend' => ['type' => 'service.suspended', 'quiet' => true, 'params' => ['params'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid']],
        'AfterModuleSuspendAddOnFeature' => ['type' => 'addon_feature.suspended', 'quiet' => true, 'params' => ['params'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid']],
        'AfterModuleSuspendAddOnFeatureFailed' => ['type' => 'addon_feature.suspend_failed', 'quiet' => false, 'params' => ['params', 'failureResponseMessage'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid'], 'message' => 'failureResponseMessage'],
        'AfterModuleSuspendFailed' => ['type' => 'service.suspend_failed', 'quiet' => false, 'params' => ['params', 'failureResponseMessage'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid'], 'message' => 'failureResponseMessage'],
        'AfterModuleTerminate' => ['type' => 'service.terminated', 'quiet' => false, 'params' => ['params'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid']],
        'AfterModuleTerminateFailed' => ['type' => 'service.terminate_failed', 'quiet' => false, 'params' => ['params', 'failureResponseMessage'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid'], 'message' => 'failureResponseMessage'],
        'AfterModuleUnsuspend' => ['type' => 'service.unsuspended', 'quiet' => true, 'params' => ['params'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid']],
        'AfterModuleUnsuspendAddOnFeature' => ['type' => 'addon_feature.unsuspended', 'quiet' => true, 'params' => ['params'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid']],
        'AfterModuleUnsuspendAddOnFeatureFailed' => ['type' => 'addon_feature.unsuspend_failed', 'quiet' => false, 'params' => ['params', 'failureResponseMessage'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid'], 'message' => 'failureResponseMessage'],
        'AfterModuleUnsuspendFailed' => ['type' => 'service.unsuspend_failed', 'quiet' => false, 'params' => ['params', 'failureResponseMessage'], 'fields' => ['serviceid' => ['int', 'params', 'serviceid'], 'userid' => ['int', 'params', 'userid'], 'serverid' => ['int', 'params', 'serverid'], 'moduletype' => ['text', 'params', 'moduletype']], 'subject' => ['serviceid'], 'message' => 'failureResponseMessage'],
        'DomainDelete' => ['type' => 'domain.deleted', 'quiet' => false, 'params' => ['userid', 'domainid'], 'fields' => ['userid' => ['int', 'userid'], 'domainid' => ['int', 'domainid']], 'subject' => ['domainid', 'userid']],
        'DomainEdit' => ['type' => 'domain.edited', 'quiet' => true, 'params' => ['userid', 'domainid'], 'fields' => ['userid' => ['int', 'userid'], 'domainid' => ['int', 'domainid']], 'subject' => ['domainid', 'userid']],
        'DomainTransferCompleted' => ['type' => 'domain.transfer_completed', 'quiet' => true, 'params' => ['domainId', 'domain', 'registrationPeriod', 'expiryDate', 'registrar'], 'fields' => ['domainId' => ['int', 'domainId'], 'domain' => ['text', 'domain'], 'registrationPeriod' => ['text', 'registrationPeriod'], 'expiryDate' => ['text', 'expiryDate'], 'registrar' => ['text', 'registrar']], 'subject' => ['domainId', 'domain']],
        'DomainTransferFailed' => ['type' => 'domain.transfer_failed', 'quiet' => false, 'params' => ['domainId', 'domain', 'registrationPeriod', 'expiryDate', 'registrar'], 'fields' => ['domainId' => ['int', 'domainId'], 'domain' => ['text', 'domain'], 'registrationPeriod' => ['text', 'registrationPeriod'], 'expiryDate' => ['text', 'expiryDate'], 'registrar' => ['text', 'registrar']], 'subject' => ['domainId', 'domain']],
        'TopLevelDomainAdd' => ['type' => 'system.tld_added', 'quiet' => true, 'params' => ['tld', 'supportsDnsManagement', 'supportsEmailForwarding', 'supportsIdProtection', 'requiresEppCode', 'automaticRegistrar'], 'fields' => ['tld' => ['text', 'tld'], 'supportsDnsManagement' => ['flag', 'supportsDnsManagement'], 'supportsEmailForwarding' => ['flag', 'supportsEmailForwarding'], 'supportsIdProtection' => ['flag', 'supportsIdProtection'], 'requiresEppCode' => ['flag', 'requiresEppCode'], 'automaticRegistrar' => ['text', 'automaticRegistrar']], 'subject' => ['tld']],
        'TopLevelDomainDelete' => ['type' => 'system.tld_deleted', 'quiet' => true, 'params' => ['tld'], 'fields' => ['tld' => ['text', 'tld']], 'subject' => ['tld']],
        'TopLevelDomainPricingUpdate' => ['type' => 'system.tld_pricing_updated', 'quiet' => true, 'params' => ['tld'], 'fields' => ['tld' => ['text', 'tld']], 'subject' => ['tld']],
        'TopLevelDomainUpdate' => ['type' => 'system.tld_updated', 'quiet' => true, 'params' => ['modifiedTlds'], 'fields' => ['modifiedTlds' => ['words', 'modifiedTlds']], 'subject' => ['modifiedTlds']],
        'AfterRegistrarGetEPPCode' => ['type' => 'domain.epp_code_requested', 'quiet' => false, 'params' => ['params', 'results', 'functionExists', 'functionSuccessful'], 'fields' => ['domainid' => ['int', 'params', 'domainid'], 'userid' => ['int', 'params', 'userid'], 'registrar' => ['text', 'params', 'registrar'], 'domain' => ['domain', 'params'], 'functionExists' => ['flag', 'functionExists'], 'functionSuccessful' => ['flag', 'functionSuccessful']], 'subject' => ['domainid']],
        'AfterRegistrarRegistration' => ['type' => 'domain.registered', 'quiet' => true, 'params' => ['params'], 'fields' => ['domainid' => ['int', 'params', 'domainid'], 'userid' => ['int', 'params', 'userid'], 'registrar' => ['text', 'params', 'registrar'], 'domain' => ['domain', 'params']], 'subject' => ['domainid']],
        'AfterRegistrarRegistrationFailed' => ['type' => 'domain.registration_failed', 'quiet' => false, 'params' => ['params', 'error'], 'fields' => ['domainid' => ['int', 'params', 'domainid'], 'userid' => ['int', 'params', 'userid'], 'registrar' => ['text', 'params', 'registrar'], 'domain' => ['domain', 'params']], 'subject' => ['domainid'], 'message' => 'error'],
        'AfterRegistrarRenewal' => ['type' => 'domain.renewed', 'quiet' => true, 'params' => ['params'], 'fields' => ['domainid' => ['int', 'params', 'domainid'], 'userid' => ['int', 'params', 'userid'], 'registrar' => ['text', 'params', 'registrar'], 'domain' => ['domain', 'params']], 'subject' => ['domainid']],
        'AfterRegistrarRenewalFailed' => ['type' => 'domain.renewal_failed', 'quiet' => false, 'params' => ['params', 'error'], 'fields' => ['domainid' => ['int', 'params', 'domainid'], 'userid' => ['int', 'params', 'userid'], 'registrar' => ['text', 'params', 'registrar'], 'domain' => ['domain', 'params']], 'subject' => ['domainid'], 'message' => 'error'],
        'AfterRegistrarRequestDelete' => ['type' => 'domain.delete_requested', 'quiet' => false, 'params' => ['params', 'results', 'functionExists', 'functionSuccessful'], 'fields' => ['domainid' => ['int', 'params', 'domainid'], 'userid' => ['int', 'params', 'userid'], 'registrar' => ['text', 'params', 'registrar'], 'domain' => ['domain', 'params'], 'functionExists' => ['flag', 'functionExists'], 'functionSuccessful' => ['flag', 'functionSuccessful']], 'subject' => ['domainid']],
        'AfterRegistrarSaveContactDetails' => ['type' => 'domain.contacts_changed', 'quiet' => false, 'params' => ['params', 'results', 'functionExists', 'functionSuccessful'], 'fields' => ['domainid' => ['int', 'params', 'domainid'], 'userid' => ['int', 'params', 'userid'], 'registrar' => ['text', 'params', 'registrar'], 'domain' => ['domain', 'params'], 'functionExists' => ['flag', 'functionExists'], 'functionSuccessful' => ['flag', 'functionSuccessful']], 'subject' => ['domainid']],
        'AfterRegistrarSaveDNS' => ['type' => 'domain.dns_changed', 'quiet' => false, 'params' => ['params', 'results', 'functionExists', 'functionSuccessful'], 'fields' => ['domainid' => ['int', 'params', 'domainid'], 'userid' => ['int', 'params', 'userid'], 'registrar' => ['text', 'params', 'registrar'], 'domain' => ['domain', 'params'], 'functionExists' => ['flag', 'functionExists'], 'functionSuccessful' => ['flag', 'functionSuccessful']], 'subject' => ['domainid']],
        'AfterRegistrarSaveNameservers' => ['type' => 'domain.nameservers_changed', 'quiet' => false, 'params' => ['params', 'results', 'functionExists', 'functionSuccessful'], 'fields' => ['domainid' => ['int', 'params', 'domainid'], 'userid' => ['int', 'params', 'userid'], 'registrar' => ['text', 'params', 'registrar'], 'domain' => ['domain', 'params'], 'functionExists' => ['flag', 'functionExists'], 'functionSuccessful' => ['flag', 'functionSuccessful']], 'subject' => ['domainid']],
        'AfterRegistrarTransfer' => ['type' => 'domain.transfer_submitted', 'quiet' => true, 'params' => ['params', 'results', 'functionExists', 'functionSuccessful'], 'fields' => ['domainid' => ['int', 'params', 'domainid'], 'userid' => ['int', 'params', 'userid'], 'registrar' => ['text', 'params', 'registrar'], 'domain' => ['domain', 'params'], 'functionExists' => ['flag', 'functionExists'], 'functionSuccessful' => ['flag', 'functionSuccessful']], 'subject' => ['domainid'], 'skip_when' => ['functionSuccessful' => false]],
        'AfterRegistrarTransferFailed' => ['type' => 'domain.transfer_submit_failed', 'quiet' => false, 'params' => ['params', 'error'], 'fields' => ['domainid' => ['int', 'params', 'domainid'], 'userid' => ['int', 'params', 'userid'], 'registrar' => ['text', 'params', 'registrar'], 'domain' => ['domain', 'params']], 'subject' => ['domainid'], 'message' => 'error'],
        'AddonActivated' => ['type' => 'addon.activated', 'quiet' => true, 'params' => ['id', 'userid', 'serviceid', 'addonid'], 'fields' => ['id' => ['int', 'id'], 'userid' => ['int', 'userid'], 'serviceid' => ['int', 'serviceid'], 'addonid' => ['int', 'addonid']], 'subject' => ['id', 'serviceid', 'userid']],
        'AddonAdd' => ['type' => 'addon.added', 'quiet' => true, 'params' => ['id', 'userid', 'serviceid', 'addonid'], 'fields' => ['id' => ['int', 'id'], 'userid' => ['int', 'userid'], 'serviceid' => ['int', 'serviceid'], 'addonid' => ['int', 'addonid']], 'subject' => ['id', 'serviceid', 'userid']],
        'AddonCancelled' => ['type' => 'addon.cancelled', 'quiet' => true, 'params' => ['id', 'userid', 'serviceid', 'addonid'], 'fields' => ['id' => ['int', 'id'], 'userid' => ['int', 'userid'], 'serviceid' => ['int', 'serviceid'], 'addonid' => ['int', 'addonid']], 'subject' => ['id', 'serviceid', 'userid']],
        'AddonConfigSave' => ['type' => 'system.addon_config_saved', 'quiet' => true, 'params' => ['id'], 'fields' => ['id' => ['int', 'id']], 'subject' => ['id']],
        'AddonDeleted' => ['type' => 'addon.deleted', 'quiet' => true, 'params' => ['id'], 'fields' => ['id' => ['int', 'id']], 'subject' => ['id']],
        'AddonEdit' => ['type' => 'addon.edited', 'quiet' => true, 'params' => ['id', 'userid', 'serviceid', 'addonid'], 'fields' => ['id' => ['int', 'id'], 'userid' => ['int', 'userid'], 'serviceid' => ['int', 'serviceid'], 'addonid' => ['int', 'addonid']], 'subject' => ['id', 'serviceid', 'userid']],
        'AddonRenewal' => ['type' => 'addon.renewed', 'quiet' => true, 'params' => ['id', 'userid', 'serviceid', 'addonid'], 'fields' => ['id' => ['int', 'id'], 'userid' => ['int', 'userid'], 'serviceid' => ['int', 'serviceid'], 'addonid' => ['int', 'addonid']], 'subject' => ['id', 'serviceid', 'userid']],
        'AddonSuspended' => ['type' => 'addon.suspended', 'quiet' => true, 'params' => ['id', 'userid', 'serviceid', 'addonid'], 'fields' => ['id' => ['int', 'id'], 'userid' => ['int', 'userid'], 'serviceid' => ['int', 'serviceid'], 'addonid' => ['int', 'addonid']], 'subject' => ['id', 'serviceid', 'userid']],
        'AddonTerminated' => ['type' => 'addon.terminated', 'quiet' => false, 'params' => ['id', 'userid', 'serviceid', 'addonid'], 'fields' => ['id' => ['int', 'id'], 'userid' => ['int', 'userid'], 'serviceid' => ['int', 'serviceid'], 'addonid' => ['int', 'addonid']], 'subject' => ['id', 'serviceid', 'userid']],
        'AddonUnsuspended' => ['type' => 'addon.unsuspended', 'quiet' => true, 'params' => ['id', 'userid', 'serviceid', 'addonid'], 'fields' => ['id' => ['int', 'id'], 'userid' => ['int', 'userid'], 'serviceid' => ['int', 'serviceid'], 'addonid' => ['int', 'addonid']], 'subject' => ['id', 'serviceid', 'userid']],
        'AfterAddonUpgrade' => ['type' => 'addon.upgraded', 'quiet' => true, 'params' => ['upgradeid'], 'fields' => ['upgradeid' => ['int', 'upgradeid']], 'subject' => ['upgradeid']],
        'LicensingAddonReissue' => ['type' => 'license.reissued', 'quiet' => true, 'params' => ['licenseid', 'serviceid', 'addon_id'], 'fields' => ['licenseid' => ['int', 'licenseid'], 'serviceid' => ['int', 'serviceid'], 'addon_id' => ['int', 'addon_id']], 'subject' => ['licenseid', 'serviceid']],
        'ProductAddonDelete' => ['type' => 'system.product_addon_deleted', 'quiet' => false, 'params' => ['addonId'], 'fields' => ['addonId' => ['int', 'addonId']], 'subject' => ['addonId']],
        'AfterClientMerge' => ['type' => 'client.merged', 'quiet' => true, 'params' => ['toUserID', 'fromUserID'], 'fields' => ['toUserID' => ['int', 'toUserID'], 'fromUserID' => ['int', 'fromUserID']], 'subject' => ['toUserID', 'fromUserID']],
        'ClientAdd' => ['type' => 'client.created', 'quiet' => true, 'params' => ['client_id', 'user_id', 'userid', 'firstname', 'lastname', 'companyname', 'email', 'address1', 'address2', 'city', 'state', 'postcode', 'country', 'phonenumber', 'tax_id', 'password', 'customFields', 'taxexempt', 'latefeeoveride', 'overideduenotices', 'separateinvoices', 'disableautocc', 'emailoptout', 'marketing_emails_opt_in', 'overrideautoclose', 'notes', 'groupid'], 'fields' => ['client_id' => ['int', 'client_id'], 'user_id' => ['int', 'user_id'], 'userid' => ['int', 'userid'], 'country' => ['text', 'country'], 'taxexempt' => ['flag', 'taxexempt'], 'latefeeoveride' => ['flag', 'latefeeoveride'], 'overideduenotices' => ['flag', 'overideduenotices'], 'separateinvoices' => ['flag', 'separateinvoices'], 'disableautocc' => ['flag', 'disableautocc'], 'emailoptout' => ['flag', 'emailoptout'], 'marketing_emails_opt_in' => ['flag', 'marketing_emails_opt_in'], 'overrideautoclose' => ['flag', 'overrideautoclose'], 'groupid' => ['int', 'groupid']], 'personal' => ['names' => ['firstname' => ['text', 'firstname'], 'lastname' => ['text', 'lastname'], 'companyname' => ['text', 'companyname']], 'contact' => ['email' => ['text', 'email'], 'address1' => ['text', 'address1'], 'address2' => ['text', 'address2'], 'city' => ['text', 'city'], 'state' => ['text', 'state'], 'postcode' => ['text', 'postcode'], 'phonenumber' => ['text', 'phonenumber'], 'tax_id' => ['text', 'tax_id']], 'texts' => ['notes' => ['redacted', 'notes']]], 'subject' => ['client_id', 'user_id']],
        'ClientChangePassword' => ['type' => 'client.password_changed', 'quiet' => true, 'params' => ['userid', 'password'], 'fields' => ['userid' => ['int', 'userid']], 'subject' => ['userid']],
        'ClientClose' => ['type' => 'client.closed', 'quiet' => true, 'params' => ['userid'], 'fields' => ['userid' => ['int', 'userid']], 'subject' => ['userid']],
        'ClientEdit' => ['type' => 'client.edited', 'quiet' => true, 'params' => ['userid', 'uuid', 'firstname', 'lastname', 'companyname', 'email', 'address1', 'address2', 'city', 'state', 'postcode', 'country', 'phonenumber', 'currency', 'notes', 'status', 'taxexempt', 'latefeeoveride', 'overideduenotices', 'separateinvoices', 'disableautocc', 'emailoptout', 'marketing_emails_opt_in', 'overrideautoclose', 'language', 'billingcid', 'groupid', 'allow_sso', 'olddata', 'authmodule', 'authdata', 'email_verified', 'isOptedInToMarketingEmails', 'email_preferences[affiliate]', 'email_preferences[domain]', 'email_preferences[general]', 'email_preferences[invoices]', 'email_preferences[product]', 'email_preferences[support]'], 'fields' => ['userid' => ['int', 'userid'], 'uuid' => ['text', 'uuid'], 'country' => ['text', 'country'], 'currency' => ['int', 'currency'], 'status' => ['text', 'status'], 'taxexempt' => ['flag', 'taxexempt'], 'latefeeoveride' => ['flag', 'latefeeoveride'], 'overideduenotices' => ['flag', 'overideduenotices'], 'separateinvoices' => ['flag', 'separateinvoices'], 'disableautocc' => ['flag', 'disableautocc'], 'emailoptout' => ['flag', 'emailoptout'], 'marketing_emails_opt_in' => ['flag', 'marketing_emails_opt_in'], 'overrideautoclose' => ['flag', 'overrideautoclose'], 'language' => ['text', 'language'], 'billingcid' => ['int', 'billingcid'], 'groupid' => ['int', 'groupid'], 'allow_sso' => ['flag', 'allow_sso'], 'authmodule' => ['text', 'authmodule'], 'email_verified' => ['flag', 'email_verified'], 'isOptedInToMarketingEmails' => ['flag', 'isOptedInToMarketingEmails'], 'changed' => ['changed', 'olddata']], 'personal' => ['names' => ['firstname' => ['text', 'firstname'], 'lastname' => ['text', 'lastname'], 'companyname' => ['text', 'companyname']], 'contact' => ['email' => ['text', 'email'], 'address1' => ['text', 'address1'], 'address2' => ['text', 'address2'], 'city' => ['text', 'city'], 'state' => ['text', 'state'], 'postcode' => ['text', 'postcode'], 'phonenumber' => ['text', 'phonenumber']], 'texts' => ['notes' => ['redacted', 'notes']]], 'subject' => ['userid']],
        'PreDeleteClient' => ['type' => 'client.deleting', 'quiet' => false, 'params' => ['userid'], 'fields' => ['userid' => ['int', 'userid']], 'subject' => ['userid']],
        'ContactAdd' => ['type' => 'contact.created', 'quiet' => true, 'params' => ['userid', 'contactid', 'firstname', 'lastname', 'companyname', 'email', 'address1', 'address2', 'city', 'state', 'postcode', 'country', 'phonenumber', 'tax_id', 'generalemails', 'productemails', 'domainemails', 'invoiceemails', 'supportemails', 'affiliateemails'], 'fields' => ['userid' => ['int', 'userid'], 'contactid' => ['int', 'contactid'], 'country' => ['text', 'country'], 'generalemails' => ['flag', 'generalemails'], 'productemails' => ['flag', 'productemails'], 'domainemails' => ['flag', 'domainemails'], 'invoiceemails' => ['flag', 'invoiceemails'], 'supportemails' => ['flag', 'supportemails'], 'affiliateemails' => ['flag', 'affiliateemails']], 'personal' => ['names' => ['firstname' => ['text', 'firstname'], 'lastname' => ['text', 'lastname'], 'companyname' => ['text', 'companyname']], 'contact' => ['email' => ['text', 'email'], 'address1' => ['text', 'address1'], 'address2' => ['text', 'address2'], 'city' => ['text', 'city'], 'state' => ['text', 'state'], 'postcode' => ['text', 'postcode'], 'phonenumber' => ['text', 'phonenumber'], 'tax_id' => ['text', 'tax_id']]], 'subject' => ['contactid', 'userid']],
        'ContactDelete' => ['type' => 'contact.deleted', 'quiet' => true, 'params' => ['userid', 'contactid'], 'fields' => ['userid' => ['int', 'userid'], 'contactid' => ['int', 'contactid']], 'subject' => ['contactid', 'userid']],
        'ContactEdit' => ['type' => 'contact.edited', 'quiet' => true, 'params' => ['userid', 'contactid', 'firstname', 'lastname', 'companyname', 'email', 'address1', 'address2', 'city', 'state', 'postcode', 'country', 'phonenumber', 'tax_id', 'domainemails', 'generalemails', 'invoiceemails', 'productemails', 'supportemails', 'affiliateemails', 'olddata'], 'fields' => ['userid' => ['int', 'userid'], 'contactid' => ['int', 'contactid'], 'country' => ['text', 'country'], 'domainemails' => ['flag', 'domainemails'], 'generalemails' => ['flag', 'generalemails'], 'invoiceemails' => ['flag', 'invoiceemails'], 'productemails' => ['flag', 'productemails'], 'supportemails' => ['flag', 'supportemails'], 'affiliateemails' => ['flag', 'affiliateemails'], 'changed' => ['changed', 'olddata']], 'personal' => ['names' => ['firstname' => ['text', 'firstname'], 'lastname' => ['text', 'lastname'], 'companyname' => ['text', 'companyname']], 'contact' => ['email' => ['text', 'email'], 'address1' => ['text', 'address1'], 'address2' => ['text', 'address2'], 'city' => ['text', 'city'], 'state' => ['text', 'state'], 'postcode' => ['text', 'postcode'], 'phonenumber' => ['text', 'phonenumber'], 'tax_id' => ['text', 'tax_id']]], 'subject' => ['contactid', 'userid']],
        'AfterProductUpgrade' => ['type' => 'service.upgraded', 'quiet' => true, 'params' => ['upgradeid'], 'fields' => ['upgradeid' => ['int', 'upgradeid']], 'subject' => ['upgradeid']],
        'ProductDelete' => ['type' => 'system.product_deleted', 'quiet' => false, 'params' => ['pid'], 'fields' => ['pid' => ['int', 'pid']], 'subject' => ['pid']],
        'ProductEdit' => ['type' => 'system.product_edited', 'quiet' => true, 'params' => ['pid', 'type', 'gid', 'name', 'description', 'welcomeemail', 'showdomainoptions', 'stockcontrol', 'qty', 'tax', 'is_featured', 'hidden', 'retired', 'paytype', 'allowqty', 'recurringcycles', 'autoterminatedays', 'autoterminateemail', 'proratabilling', 'proratadate', 'proratachargenextmonth', 'servertype', 'servergroup', 'autosetup', 'configoptionsupgrade', 'upgradeemail', 'freedomain', 'freedomainpaymentterms', 'freedomaintlds', 'affiliatepaytype', 'affiliatepayamount', 'affiliateonetime', 'subdomain', 'overagesenabled', 'overagesdisklimit', 'overagesbwlimit', 'overagesdiskprice', 'overagesbwprice', 'ondemandrenewalconfigurationoverride', 'ondemandrenewalsenabled', 'ondemandrenewalperiodmonthly', 'ondemandrenewalperiodquarterly', 'ondemandrenewalperiodsemiannually', 'ondemandrenewalperiodannually', 'ondemandrenewalperiodbiennially', 'ondemandrenewalperiodtriennially', 'configoptionX'], 'fields' => ['pid' => ['int', 'pid'], 'name' => ['text', 'name']], 'subject' => ['pid']],
        'ServerAdd' => ['type' => 'server.added', 'quiet' => true, 'params' => ['serverid'], 'fields' => ['serverid' => ['int', 'serverid']], 'subject' => ['serverid']],
        'ServerDelete' => ['type' => 'server.deleted', 'quiet' => false, 'params' => ['serverid'], 'fields' => ['serverid' => ['int', 'serverid']], 'subject' => ['serverid']],
        'ServerEdit' => ['type' => 'server.edited', 'quiet' => true, 'params' => ['serverid'], 'fields' => ['serverid' => ['int', 'serverid']], 'subject' => ['serverid']],
        'AnnouncementAdd' => ['type' => 'support.announcement_added', 'quiet' => true, 'params' => ['announcementid', 'date', 'title', 'announcement', 'published'], 'fields' => ['announcementid' => ['int', 'announcementid'], 'date' => ['text', 'date'], 'title' => ['text', 'title'], 'published' => ['flag', 'published']], 'subject' => ['announcementid']],
        'AnnouncementEdit' => ['type' => 'support.announcement_edited', 'quiet' => true, 'params' => ['announcementid', 'date', 'title', 'announcement', 'published'], 'fields' => ['announcementid' => ['int', 'announcementid'], 'date' => ['text', 'date'], 'title' => ['text', 'title'], 'published' => ['flag', 'published']], 'subject' => ['announcementid']],
        'NetworkIssueAdd' => ['type' => 'network_issue.opened', 'quiet' => false, 'params' => ['id', 'startdate', 'enddate', 'title', 'description', 'type', 'server', 'affecting', 'priority', 'status', 'lastupdate'], 'fields' => ['id' => ['int', 'id'], 'startdate' => ['text', 'startdate'], 'enddate' => ['text', 'enddate'], 'title' => ['text', 'title'], 'description' => ['text', 'description'], 'type' => ['text', 'type'], 'server' => ['int', 'server'], 'affecting' => ['text', 'affecting'], 'priority' => ['text', 'priority'], 'status' => ['text', 'status'], 'lastupdate' => ['text', 'lastupdate']], 'subject' => ['id']],
        'NetworkIssueClose' => ['type' => 'network_issue.resolved', 'quiet' => true, 'params' => ['id'], 'fields' => ['id' => ['int', 'id']], 'subject' => ['id']],
        'NetworkIssueDelete' => ['type' => 'network_issue.deleted', 'quiet' => true, 'params' => ['id'], 'fields' => ['id' => ['int', 'id']], 'subject' => ['id']],
        'NetworkIssueEdit' => ['type' => 'network_issue.edited', 'quiet' => true, 'params' => ['id', 'startdate', 'enddate', 'title', 'description', 'type', 'server', 'affecting', 'priority', 'status', 'lastupdate'], 'fields' => ['id' => ['int', 'id'], 'startdate' => ['text', 'startdate'], 'enddate' => ['text', 'enddate'], 'title' => ['text', 'title'], 'description' => ['text', 'description'], 'type' => ['text', 'type'], 'server' => ['int', 'server'], 'affecting' => ['text', 'affecting'], 'priority' => ['text', 'priority'], 'status' => ['text', 'status'], 'lastupdate' => ['text', 'lastupdate']], 'subject' => ['id']],
        'NetworkIssueReopen' => ['type' => 'network_issue.reopened', 'quiet' => false, 'params' => ['id'], 'fields' => ['id' => ['int', 'id']], 'subject' => ['id']],
        'TicketAddNote' => ['type' => 'ticket.note_added', 'quiet' => true, 'params' => ['ticketid', 'message', 'adminid', 'attachments'], 'fields' => ['ticketid' => ['int', 'ticketid'], 'adminid' => ['int', 'adminid']], 'personal' => ['texts' => ['message' => ['redacted', 'message']]], 'subject' => ['ticketid']],
        'TicketAdminReply' => ['type' => 'ticket.staff_replied', 'quiet' => true, 'params' => ['ticketid', 'replyid', 'deptid', 'deptname', 'subject', 'message', 'priority', 'admin', 'status'], 'fields' => ['ticketid' => ['int', 'ticketid'], 'replyid' => ['int', 'replyid'], 'deptid' => ['int', 'deptid'], 'deptname' => ['text', 'deptname'], 'priority' => ['text', 'priority'], 'admin' => ['text', 'admin'], 'status' => ['text', 'status']], 'personal' => ['texts' => ['subject' => ['redacted', 'subject'], 'message' => ['redacted', 'message']]], 'subject' => ['ticketid', 'replyid']],
        'TicketClose' => ['type' => 'ticket.closed', 'quiet' => true, 'params' => ['ticketid'], 'fields' => ['ticketid' => ['int', 'ticketid']], 'subject' => ['ticketid']],
        'TicketDelete' => ['type' => 'ticket.deleted', 'quiet' => true, 'params' => ['ticketId', 'adminId'], 'fields' => ['ticketId' => ['int', 'ticketId'], 'adminId' => ['int', 'adminId']], 'subject' => ['ticketId']],
        'TicketDeleteReply' => ['type' => 'ticket.reply_deleted', 'quiet' => true, 'params' => ['ticketId', 'replyId', 'adminId'], 'fields' => ['ticketId' => ['int', 'ticketId'], 'replyId' => ['int', 'replyId'], 'adminId' => ['int', 'adminId']], 'subject' => ['ticketId', 'replyId']],
        'TicketDepartmentChange' => ['type' => 'ticket.department_changed', 'quiet' => true, 'params' => ['ticketid', 'deptid', 'deptname'], 'fields' => ['ticketid' => ['int', 'ticketid'], 'deptid' => ['int', 'deptid'], 'deptname' => ['text', 'deptname']], 'subject' => ['ticketid']],
        'TicketFlagged' => ['type' => 'ticket.flagged', 'quiet' => false, 'params' => ['ticketid', 'adminid', 'adminname'], 'fields' => ['ticketid' => ['int', 'ticketid'], 'adminid' => ['int', 'adminid'], 'adminname' => ['text', 'adminname']], 'subject' => ['ticketid']],
        'TicketMerge' => ['type' => 'ticket.merged', 'quiet' => true, 'params' => ['mergedTicketIds', 'masterTicketId'], 'fields' => ['mergedTicketIds' => ['ids', 'mergedTicketIds'], 'masterTicketId' => ['int', 'masterTicketId']], 'subject' => ['masterTicketId']],
        'TicketOpen' => ['type' => 'ticket.opened', 'quiet' => false, 'params' => ['ticketid', 'ticketmask', 'userid', 'deptid', 'deptname', 'subject', 'message', 'priority'], 'fields' => ['ticketid' => ['int', 'ticketid'], 'ticketmask' => ['text', 'ticketmask'], 'userid' => ['int', 'userid'], 'deptid' => ['int', 'deptid'], 'deptname' => ['text', 'deptname'], 'priority' => ['text', 'priority']], 'personal' => ['texts' => ['subject' => ['redacted', 'subject'], 'message' => ['redacted', 'message']]], 'subject' => ['ticketid', 'ticketmask']],
        'TicketOpenAdmin' => ['type' => 'ticket.opened_by_staff', 'quiet' => true, 'params' => ['ticketid', 'ticketmask', 'userid', 'deptid', 'deptname', 'subject', 'message', 'priority'], 'fields' => ['ticketid' => ['int', 'ticketid'], 'ticketmask' => ['text', 'ticketmask'], 'userid' => ['int', 'userid'], 'deptid' => ['int', 'deptid'], 'deptname' => ['text', 'deptname'], 'priority' => ['text', 'priority']], 'personal' => ['texts' => ['subject' => ['redacted', 'subject'], 'message' => ['redacted', 'message']]], 'subject' => ['ticketid', 'ticketmask']],
        'TicketPriorityChange' => ['type' => 'ticket.priority_changed', 'quiet' => false, 'params' => ['ticketid', 'priority'], 'fields' => ['ticketid' => ['int', 'ticketid'], 'priority' => ['text', 'priority']], 'subject' => ['ticketid']],
        'TicketSplit' => ['type' => 'ticket.split', 'quiet' => true, 'params' => ['originalTicketId', 'newTicketID'], 'fields' => ['originalTicketId' => ['int', 'originalTicketId'], 'newTicketID' => ['int', 'newTicketID']], 'subject' => ['originalTicketId', 'newTicketID']],
        'TicketStatusChange' => ['type' => 'ticket.status_changed', 'quiet' => true, 'params' => ['adminid', 'status', 'ticketid'], 'fields' => ['adminid' => ['int', 'adminid'], 'status' => ['text', 'status'], 'ticketid' => ['int', 'ticketid']], 'subject' => ['ticketid']],
        'TicketSubjectChange' => ['type' => 'ticket.subject_changed', 'quiet' => true, 'params' => ['ticketid', 'subject'], 'fields' => ['ticketid' => ['int', 'ticketid']], 'personal' => ['texts' => ['subject' => ['redacted', 'subject']]], 'subject' => ['ticketid']],
        'TicketUserReply' => ['type' => 'ticket.client_replied', 'quiet' => false, 'params' => ['ticketid', 'replyid', 'userid', 'deptid', 'deptname', 'subject', 'message', 'priority', 'status'], 'fields' => ['ticketid' => ['int', 'ticketid'], 'replyid' => ['int', 'replyid'], 'userid' => ['int', 'userid'], 'deptid' => ['int', 'deptid'], 'deptname' => ['text', 'deptname'], 'priority' => ['text', 'priority'], 'status' => ['text', 'status']], 'personal' => ['texts' => ['subject' => ['redacted', 'subject'], 'message' => ['redacted', 'message']]], 'subject' => ['ticketid', 'replyid']],
        'UserAdd' => ['type' => 'user.created', 'quiet' => true, 'params' => ['user_id', 'firstname', 'lastname', 'email', 'password', 'language'], 'fields' => ['user_id' => ['int', 'user_id'], 'language' => ['text', 'language']], 'personal' => ['names' => ['firstname' => ['text', 'firstname'], 'lastname' => ['text', 'lastname']], 'contact' => ['email' => ['text', 'email']]], 'subject' => ['user_id']],
        'UserChangePassword' => ['type' => 'user.password_changed', 'quiet' => true, 'params' => ['userid', 'password'], 'fields' => ['userid' => ['int', 'userid']], 'subject' => ['userid']],
        'UserEdit' => ['type' => 'user.edited', 'quiet' => true, 'params' => ['user_id', 'firstname', 'lastname', 'email', 'olddata'], 'fields' => ['user_id' => ['int', 'user_id'], 'changed' => ['changed', 'olddata']], 'personal' => ['names' => ['firstname' => ['text', 'firstname'], 'lastname' => ['text', 'lastname']], 'contact' => ['email' => ['text', 'email']]], 'subject' => ['user_id']],
        'UserEmailVerificationComplete' => ['type' => 'user.email_verified', 'quiet' => true, 'params' => ['userId'], 'fields' => ['userId' => ['int', 'userId']], 'subject' => ['userId']],
        'UserLogin' => ['type' => 'user.login', 'quiet' => true, 'params' => ['user'], 'fields' => ['user_id' => ['int', 'user', 'id']], 'subject' => ['user_id']],
        'DailyCronJob' => ['type' => 'system.cron_daily_completed', 'quiet' => true, 'params' => [], 'fields' => []],
        'PopEmailCollectionCronCompleted' => ['type' => 'system.mail_collection_completed', 'quiet' => false, 'params' => ['connectionErrors'], 'fields' => ['connectionErrors' => ['count', 'connectionErrors']], 'skip_when' => ['connectionErrors' => 0]],
        'AdminClientFileUpload' => ['type' => 'client.file_uploaded', 'quiet' => true, 'params' => ['userid', 'title', 'filename', 'origfilename', 'adminonly'], 'fields' => ['userid' => ['int', 'userid'], 'adminonly' => ['flag', 'adminonly']], 'personal' => ['texts' => ['title' => ['text', 'title'], 'filename' => ['text', 'filename'], 'origfilename' => ['text', 'origfilename']]], 'subject' => ['userid']],
        'AdminLogin' => ['type' => 'system.admin_login', 'quiet' => false, 'params' => ['adminid', 'username'], 'fields' => ['adminid' => ['int', 'adminid'], 'username' => ['text', 'username']], 'personal' => ['addresses' => ['ipaddress' => ['remote_address']]], 'subject' => ['adminid', 'username']],
        'AdminLogout' => ['type' => 'system.admin_logout', 'quiet' => true, 'params' => ['adminid'], 'fields' => ['adminid' => ['int', 'adminid']], 'subject' => ['adminid']],
        'AdminServiceEdit' => ['type' => 'service.edited_by_staff', 'quiet' => true, 'params' => ['userid', 'serviceid'], 'fields' => ['userid' => ['int', 'userid'], 'serviceid' => ['int', 'serviceid']], 'subject' => ['serviceid', 'userid']],
        'ClientAreaRegister' => ['type' => 'client.registered', 'quiet' => true, 'params' => ['user_id', 'client_id', 'userid'], 'fields' => ['user_id' => ['int', 'user_id'], 'client_id' => ['int', 'client_id'], 'userid' => ['int', 'userid']], 'subject' => ['client_id', 'user_id']],
        'AffiliateActivation' => ['type' => 'affiliate.activated', 'quiet' => true, 'params' => ['affid', 'userid'], 'fields' => ['affid' => ['int', 'affid'], 'userid' => ['int', 'userid']], 'subject' => ['affid', 'userid']],
        'AffiliateWithdrawalRequest' => ['type' => 'affiliate.withdrawal_requested', 'quiet' => true, 'params' => ['affiliateId', 'userId', 'clientId', 'balance'], 'fields' => ['affiliateId' => ['int', 'affiliateId'], 'userId' => ['int', 'userId'], 'clientId' => ['int', 'clientId'], 'balance' => ['number', 'balance']], 'subject' => ['affiliateId', 'clientId']],
        'AfterConfigOptionsUpgrade' => ['type' => 'service.config_options_upgraded', 'quiet' => true, 'params' => ['upgradeid'], 'fields' => ['upgradeid' => ['int', 'upgradeid']], 'subject' => ['upgradeid']],
        'CCUpdate' => ['type' => 'client.card_updated', 'quiet' => true, 'params' => ['userid', 'cardtype', 'cardnum', 'cardcvv', 'expdate', 'cardstart', 'cardissue'], 'fields' => ['userid' => ['int', 'userid']], 'subject' => ['userid']],
        'LogActivity' => ['type' => 'system.activity', 'quiet' => false, 'params' => ['description', 'user', 'userid', 'ipaddress'], 'fields' => ['pattern' => ['pattern', 'description'], 'userid' => ['int', 'userid']], 'personal' => ['names' => ['user' => ['text', 'user']], 'texts' => ['description' => ['redacted', 'description']], 'addresses' => ['ipaddress' => ['text', 'ipaddress']]], 'subject' => ['userid'], 'skip_when' => ['pattern' => null]],
    ];

    const METRICS = [
        'AfterInvoicingGenerateInvoiceItems' => ['metric' => 'whmcs.invoicing.run_finished', 'timed_from' => 'whmcs.invoicing.run_started', 'params' => []],
        'PreInvoicingGenerateInvoiceItems' => ['metric' => 'whmcs.invoicing.run_started', 'params' => []],
        'AfterFraudCheck' => ['metric' => 'whmcs.fraud.checks', 'params' => ['orderid', 'ordernumber', 'invoiceid', 'amount', 'fraudresults', 'isfraud', 'frauderror', 'clientdetails']],
        'PreShoppingCartCheckout' => ['metric' => 'whmcs.checkout.started', 'params' => ['products', 'domains']],
        'AfterRegistrarGetContactDetails' => ['metric' => 'whmcs.registrar.get_contacts', 'failed' => 'functionSuccessful', 'params' => ['params', 'results', 'functionExists', 'functionSuccessful']],
        'AfterRegistrarGetDNS' => ['metric' => 'whmcs.registrar.get_dns', 'failed' => 'functionSuccessful', 'params' => ['params', 'results', 'functionExists', 'functionSuccessful']],
        'AfterRegistrarGetNameservers' => ['metric' => 'whmcs.registrar.get_nameservers', 'failed' => 'functionSuccessful', 'params' => ['params', 'results', 'functionExists', 'functionSuccessful']],
        'AfterRegistrarRegister' => ['metric' => 'whmcs.registrar.register', 'failed' => 'functionSuccessful', 'params' => ['params', 'results', 'functionExists', 'functionSuccessful']],
        'AfterRegistrarRenew' => ['metric' => 'whmcs.registrar.renew', 'failed' => 'functionSuccessful', 'params' => ['params', 'results', 'functionExists', 'functionSuccessful']],
        'LicensingAddonVerify' => ['metric' => 'whmcs.licensing.verify', 'params' => ['licenseid', 'serviceid', 'xmlresponse']],
        'FileDownload' => ['metric' => 'whmcs.downloads', 'params' => []],
        'TicketPiping' => ['metric' => 'whmcs.tickets.mail_imported', 'params' => ['to', 'cc', 'name', 'email', 'subject', 'body', 'attachments']],
        'UserLogout' => ['metric' => 'whmcs.user.logouts', 'params' => ['user']],
        'AfterCronJob' => ['metric' => 'whmcs.cron.run_finished', 'params' => []],
        'PostAutomationTask' => ['metric' => 'whmcs.cron.task_finished', 'failed' => 'completed', 'timed_from' => 'whmcs.cron.task_started', 'params' => ['task', 'completed']],
        'PreAutomationTask' => ['metric' => 'whmcs.cron.task_started', 'params' => ['task']],
        'PreCronJob' => ['metric' => 'whmcs.cron.daily_started', 'params' => []],
        'AffiliateClickthru' => ['metric' => 'whmcs.affiliate.clicks', 'params' => ['affiliateId']],
        'EmailPreLog' => ['metric' => 'whmcs.mail.logged', 'params' => ['userid', 'date', 'to', 'cc', 'bcc', 'subject', 'message', 'attachments']],
        'EmailPreSend' => ['metric' => 'whmcs.mail.sending', 'split_by' => 'messagename', 'params' => ['messagename', 'relid', 'mergefields']],
        'LinkTracker' => ['metric' => 'whmcs.links.followed', 'params' => ['linkid']],
    ];
}

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

/**
 * One line of the spool and where it ends, so that sending it can be recorded.
 */
final class Line
{
    public $text;
    public $sequence;
    public $stream;
    /** @var int[] segment and offset behind this line */
    public $end;

    public function __construct(string $text, int $sequence, string $stream, array $end)
    {
        $this->text = $text;
        $this->sequence = $sequence;
        $this->stream = $stream;
        $this->end = $end;
    }

    /** A line that a crash tore has no number that could be trusted. */
    public function isTorn(): bool
    {
        return $this->sequence === 0;
    }
}

/**
 * Which lines of WHMCS's activity log are worth an event: failed logins and the like have no hook of their own.
 *
 * WHMCS does not document its texts and add-ons write there too, so the defaults are broad and meant to be edited.
 */
final class LogPatterns
{
    const DEFAULTS = <<<'PATTERNS'
# name = /regular expression/flags   The first match names the event.
two_factor_failed = /(two.?factor|2fa|second factor).*(fail|invalid|incorrect|denied)/i
admin_login_failed = /(admin\b.*\b(login|log in)|(login|log in)\b.*\badmin\b).*(fail|invalid|incorrect|denied)|(fail|invalid)\w*.*admin.*(login|log in)/i
client_login_failed = /(login|log in|authentication).*(fail|invalid|incorrect)|(fail|invalid)\w*.*(login|log in)/i
address_banned = /\bbann(ed|ing)\b/i
payment_failed = /(payment|capture|charge|transaction|card).*(fail|declin|refus)/i
mail_failed = /(e-?mail|smtp|message).*(fail|could not|error|rejected)/i
cron_error = /cron.*(fail|error|exception|timed? ?out)/i
database_error = /(sqlstate|database|mysql).*(error|gone away|fail|denied)/i
licence_problem = /licen[cs]e.*(invalid|expired|suspended|fail)/i
module_error = /(module|provision|registrar).*(fail|error)/i
PATTERNS;

    /** Each field is a separate gate: a name that makes a clean attribute, and one delimiter that is easy to read. */
    const LINE = '~^([a-z][a-z0-9_]{0,39})\s*=\s*(/.+/[imsux]*)$~D';

    /** @return array{patterns: array<string,string>, notes: string[]} what can be used, and why the rest cannot */
    public static function parsed(string $text): array
    {
        $patterns = $notes = [];
        foreach (preg_split('/\R/', $text) as $number => $line) {
            $line = trim($line);
            if ($line === '' || $line[0] === '#') {
                continue;
            }
            $note = self::fault($line, $patterns, $found);
            if ($note === null) {
                $patterns[$found[1]] = $found[2];
            } else {
                $notes[] = 'Line ' . ($number + 1) . " is ignored: $note";
            }
        }
        return ['patterns' => $patterns, 'notes' => $notes];
    }

    private static function fault(string $line, array $known, &$found)
    {
        if (!preg_match(self::LINE, $line, $found)) {
            return 'it is not of the form name = /expression/ with a name of a-z, 0-9 and _.';
        }
        if (isset($known[$found[1]])) {
            return "the name $found[1] is already used.";
        }
        if (self::isBroken($found[2])) {
            return "$found[2] is no valid regular expression.";
        }
        return null;
    }

    private static function isBroken(string $pattern): bool
    {
        set_error_handler(static function () {
            return true; // the compile warning is the answer, not an event for WHMCS's own handler
        });
        $broken = preg_match($pattern, '') === false;
        restore_error_handler();
        return $broken;
    }
}

/**
 * Tells when WHMCS goes into its maintenance mode and leaves it: no hook does. The last answer is kept as a file.
 */
final class MaintenanceMode
{
    const STARTED = 'system.maintenance_started';
    const ENDED = 'system.maintenance_ended';
    const FILE = 'maintenance';

    private $folder;

    public function __construct(Folder $folder)
    {
        $this->folder = $folder;
    }

    /** @return string|null the type of the event to send; null while nothing has changed, or WHMCS is not loaded */
    public function change()
    {
        if (!class_exists('\WHMCS\Config\Setting')) {
            return null;
        }
        $on = in_array(\WHMCS\Config\Setting::getValue('MaintenanceMode'), ['on', '1', 1, true], true);
        if ($on === is_file($this->folder->path(self::FILE))) {
            return null;
        }
        return $on ? self::STARTED : self::ENDED;
    }

    /** After the event is in the spool: a crash in between sends it twice, which changes nothing, rather than never. */
    public function keep(string $type): void
    {
        if ($type === self::STARTED) {
            $this->folder->write(self::FILE, '');
        } else {
            @unlink($this->folder->path(self::FILE));
        }
    }
}

/**
 * The counts of all requests of this install, kept in a file until a minute is full.
 */
final class MetricJar
{
    const FILE = 'metrics.json';
    const SECONDS = 60;

    private $folder;

    public function __construct(Folder $folder)
    {
        $this->folder = $folder;
    }

    /** @return array the totals to send, or [] while the minute is not over or nothing was counted */
    public function fold(array $counts, float $now): array
    {
        $file = $this->folder->lock(self::FILE);
        if ($file === null) {
            return []; // someone else folds: this request's counts are not worth a visitor's time
        }
        $jar = json_decode((string) stream_get_contents($file), true) ?: ['sent_at' => $now, 'totals' => []];
        $totals = self::sum($jar['totals'], $counts);
        $due = $now - $jar['sent_at'] >= self::SECONDS || $now < $jar['sent_at'];
        $kept = $due ? ['sent_at' => $now, 'totals' => []] : ['sent_at' => $jar['sent_at'], 'totals' => $totals];
        $this->folder->rewrite($file, json_encode($kept, Event::JSON));
        fclose($file);
        return $due ? $totals : [];
    }

    private static function sum(array $totals, array $counts): array
    {
        foreach ($counts as $key => $value) {
            if (is_array($value)) {
                $totals[$key] = self::sum($totals[$key] ?? [], $value);
            } elseif ($key === 'seconds_max') {
                $totals[$key] = max($totals[$key] ?? 0, $value);
            } else {
                $totals[$key] = ($totals[$key] ?? 0) + $value;
            }
        }
        return $totals;
    }
}

/**
 * How long a page of WHMCS takes, and its database queries, as far as WHMCS makes them with its query builder: that tells
 * the time of each. The queries themselves are not looked at.
 */
final class PageClock
{
    /** What WHMCS defines on a page; the cron, the API and scripts of others define neither. */
    const AREAS = ['ADMINAREA' => 'admin', 'CLIENTAREA' => 'client'];

    private $count = 0;
    private $sum = 0.0;
    private $longest = 0.0;

    /** Hears of each query from now on. */
    public function listen(): void
    {
        if (!class_exists('\WHMCS\Database\Capsule')) {
            return;
        }
        // One object since Illuminate 5.2; before that the query, its values and its time.
        \WHMCS\Database\Capsule::connection()->listen(function ($told, $values = null, $time = null) {
            $this->heard(is_object($told) ? ($told->time ?? null) : $time);
        });
    }

    private function heard($milliseconds): void
    {
        if (is_numeric($milliseconds)) {
            $seconds = max(0.0, $milliseconds / 1000);
            $this->count++;
            $this->sum += $seconds;
            $this->longest = max($this->longest, $seconds);
        }
    }

    /** What the page comes to, as `Counters` has it; [] if it is none. */
    public function totals(float $now): array
    {
        $area = self::area();
        if ($area === null) {
            return [];
        }
        $seconds = max(0.0, $now - (float) ($_SERVER['REQUEST_TIME_FLOAT'] ?? $now));
        $totals = ["whmcs.page.$area" => self::total(1, $seconds, $seconds)];
        if ($this->count > 0) {
            $totals["whmcs.database.$area"] = self::total($this->count, $this->sum, $this->longest);
        }
        return $totals;
    }

    private static function total(int $count, float $sum, float $longest): array
    {
        return ['count' => $count, 'seconds_sum' => round($sum, 6), 'seconds_max' => round($longest, 6)];
    }

    private static function area()
    {
        foreach (self::AREAS as $constant => $area) {
            if (defined($constant) && constant($constant)) {
                return $area;
            }
        }
        return null;
    }
}

/**
 * Takes the allow-listed values out of what a hook was given, and nothing else.
 *
 * A rule is `[kind, path...]` from the table. The kind is a second gate: an `int` field that does not hold a whole
 * number is left out, so that a password in the wrong place cannot leave.
 */
final class Picker
{
    const TEXT_LENGTH = 200;
    const MESSAGE_LENGTH = 500;
    const LIST_LENGTH = 50;
    const WORD_LENGTH = 60; // a full list stays within the 16 KiB that attributes may have

    private $settings;

    public function __construct(Settings $settings)
    {
        $this->settings = $settings;
    }

    /** WHMCS mostly passes one array; a few hooks pass their values one by one. */
    public static function named(array $args, array $names): array
    {
        if (count($args) === 1 && is_array($args[0])) {
            return $args[0];
        }
        $vars = [];
        foreach ($names as $position => $name) {
            if (array_key_exists($position, $args)) {
                $vars[$name] = $args[$position];
            }
        }
        return $vars;
    }

    /** @return array|null the attributes, or null when the table says that this firing is no event */
    public function attributes(array $row, array $vars)
    {
        foreach ($row['aliases'] ?? [] as $misspelt => $name) {
            if (isset($vars[$misspelt]) && !isset($vars[$name])) {
                $vars[$name] = $vars[$misspelt];
            }
        }
        $attributes = $this->pick($row['fields'], $row, $vars);
        foreach ($row['skip_when'] ?? [] as $name => $value) {
            if (($attributes[$name] ?? null) === $value) {
                return null;
            }
        }
        foreach ($this->settings->personal as $group) {
            $attributes += $this->pick($row['personal'][$group] ?? [], $row, $vars);
        }
        return $attributes + $this->incomplete($row, $attributes);
    }

    /** An event whose subject could not be read is sent all the same, and says so. */
    private function incomplete(array $row, array $attributes): array
    {
        $subject = $row['subject'] ?? [];
        return $subject !== [] && !array_intersect_key($attributes, array_flip($subject)) ? ['incomplete' => true] : [];
    }

    public function message(string $key, array $vars): string
    {
        $text = $vars[$key] ?? '';
        return is_scalar($text) ? Redactor::clean((string) $text, self::MESSAGE_LENGTH, Redactor::secretsIn($vars)) : '';
    }

    private function pick(array $rules, array $row, array $vars): array
    {
        $picked = [];
        foreach ($rules as $name => $rule) {
            $value = $this->value($rule, $row, $vars);
            if ($value !== null) {
                $picked[$name] = $value;
            }
        }
        return $picked;
    }

    private function value(array $rule, array $row, array $vars)
    {
        $raw = self::walk($vars, $rule);
        switch ($rule[0]) {
            case 'int':
                return self::int($raw);
            case 'text':
                return self::text($raw);
            case 'number':
                return is_numeric($raw) && is_finite((float) $raw) ? $raw + 0 : null;
            case 'flag':
                return is_scalar($raw) ? filter_var($raw, FILTER_VALIDATE_BOOLEAN) : null;
            case 'date':
                return $raw instanceof \DateTimeInterface ? Event::time((float) $raw->format('U.u')) : self::text($raw);
            case 'ids':
                return is_array($raw) ? self::listOf($raw, 'int') : null;
            case 'words':
                return is_array($raw) ? self::listOf($raw, 'text') : null;
            case 'count':
                return is_array($raw) ? count($raw) : null;
            case 'redacted':
                return is_scalar($raw) ? Redactor::clean((string) $raw, self::TEXT_LENGTH, Redactor::secretsIn($vars)) : null;
            case 'changed':
                return is_array($raw) ? self::changedNames($raw, $vars, $row['params']) : null;
            case 'domain':
                return self::domain($raw);
            case 'invoice_in':
                return is_string($raw) ? self::invoiceIn($raw) : null;
            case 'pattern':
                return is_string($raw) ? $this->patternOf($raw) : null;
            case 'remote_address':
                return self::text($_SERVER['REMOTE_ADDR'] ?? null);
            default:
                return null;
        }
    }

    /** Follows the path, whose first entry (the kind) is skipped, through arrays and objects. */
    private static function walk(array $vars, array $rule)
    {
        $value = $vars;
        for ($step = 1, $steps = count($rule); $step < $steps; $step++) {
            if (is_array($value)) {
                $value = $value[$rule[$step]] ?? null;
            } elseif (is_object($value)) {
                $value = self::property($value, $rule[$step]);
            } else {
                return null;
            }
        }
        return $value;
    }

    /** Models answer through magic that may be private, missing or throw: then the field is missing, no more. */
    private static function property($object, string $name)
    {
        try {
            return @$object->$name;
        } catch (\Throwable $refused) {
            return null;
        }
    }

    private static function int($raw)
    {
        if (is_int($raw)) {
            return $raw;
        }
        return is_string($raw) && preg_match('/^-?\d{1,18}$/D', $raw) ? (int) $raw : null;
    }

    private static function text($raw, int $length = self::TEXT_LENGTH)
    {
        return is_scalar($raw) && !is_bool($raw) ? Redactor::clip((string) $raw, $length) : null;
    }

    private static function listOf(array $raw, string $kind): array
    {
        $list = [];
        foreach (array_slice($raw, 0, self::LIST_LENGTH) as $entry) {
            $value = $kind === 'int' ? self::int($entry) : self::text($entry, self::WORD_LENGTH);
            if ($value !== null) {
                $list[] = $value;
            }
        }
        return $list;
    }

    /** Names of the documented fields whose value changed; never the values. */
    private static function changedNames(array $old, array $new, array $documented): array
    {
        $changed = [];
        foreach ($documented as $name) {
            $comparable = isset($old[$name], $new[$name]) && is_scalar($old[$name]) && is_scalar($new[$name]);
            if ($comparable && (string) $old[$name] !== (string) $new[$name]) {
                $changed[] = $name;
            }
        }
        return $changed;
    }

    private static function domain($params)
    {
        $sld = self::text($params['sld'] ?? null);
        $tld = self::text($params['tld'] ?? null);
        return $sld === null || $tld === null ? null : $sld . '.' . ltrim($tld, '.');
    }

    /** A gateway's raw callback holds card and customer data: only a plain invoice number may come out of it. */
    private static function invoiceIn(string $data)
    {
        $pattern = '/(?<![A-Za-z0-9_])invoice(?:_?id)?["\'\]]*\s*(?:=>|[=:])\s*["\']?(\d{1,10})(?![\w.-])/i';
        return preg_match($pattern, substr($data, 0, 65536), $found) ? (int) $found[1] : null;
    }

    private function patternOf(string $line)
    {
        if (strncmp($line, 'Hooks Debug', 11) === 0) {
            return null; // WHMCS's own hook debugging writes a line per hook
        }
        $line = substr($line, 0, 2000);
        foreach ($this->settings->logPatterns() as $name => $pattern) {
            if (@preg_match($pattern, $line) === 1) {
                return $name;
            }
        }
        return null;
    }
}

/**
 * Where the private folder is looked for. Web pages, cron and `flush.php` must find the same one without a database,
 * so the answer depends on WHMCS's own folder only.
 */
final class Places
{
    /** WHMCS's folder under its real name, by which page views and the command line agree. */
    public static function root(string $default): string
    {
        $root = defined('ROOTDIR') ? ROOTDIR : $default;
        return realpath($root) ?: $root;
    }

    /** The folder that holds the settings file, or null before the first one was saved. */
    public static function found(string $root)
    {
        foreach (['besideRoot', 'besideAttachments', 'temporary'] as $place) {
            $path = self::$place($root);
            if ($path !== null && is_file($path . '/' . Settings::FILE)) {
                return $path;
            }
        }
        return null;
    }

    /** The folder that is in use already, else the best place for one: outside the web root if at all possible. */
    public static function chosen(string $root): string
    {
        foreach (['besideRoot', 'besideAttachments', 'temporary'] as $place) {
            $path = self::$place($root);
            if ($path !== null && Folder::isPrivate($path)) {
                return $path;
            }
        }
        foreach (['besideAttachments', 'besideRoot'] as $place) {
            $path = self::$place($root);
            if ($path !== null && !self::isServed($path, $root) && self::canHold($path)) {
                return $path;
            }
        }
        return self::temporary($root);
    }

    /** @return string[] what is wrong with this place, in words for the administrator */
    public static function warnings(string $path, string $root): array
    {
        $warnings = [];
        if (self::isTemporary($path)) {
            $warnings[] = "The spool lies in the temporary folder ($path), which may be emptied at a restart. "
                . 'Choose a folder outside the web root in the settings.';
        }
        if (self::isServed($path, $root)) {
            $warnings[] = "The spool lies inside the web root ($path). Choose a folder that the web server does not serve.";
        }
        return $warnings;
    }

    public static function isTemporary(string $path): bool
    {
        return self::isInside($path, sys_get_temp_dir());
    }

    private static function isServed(string $path, string $root): bool
    {
        $documents = $_SERVER['DOCUMENT_ROOT'] ?? '';
        return self::isInside($path, $root) || ($documents !== '' && self::isInside($path, $documents));
    }

    private static function isInside(string $path, string $folder): bool
    {
        $folder = rtrim((string) (realpath($folder) ?: $folder), '/') . '/';
        $parent = realpath(dirname($path)) ?: dirname($path);
        return strncmp($parent . '/' . basename($path) . '/', $folder, strlen($folder)) === 0;
    }

    private static function canHold(string $path): bool
    {
        return is_dir($path) ? is_writable($path) : is_dir(dirname($path)) && is_writable(dirname($path));
    }

    private static function besideRoot(string $root): string
    {
        return dirname($root) . '/' . self::name($root);
    }

    /** An attachments folder that was moved out of the web root shows where the administrator wants private files. */
    private static function besideAttachments(string $root)
    {
        $configuration = (string) @file_get_contents($root . '/configuration.php', false, null, 0, 65536);
        if (!preg_match('/^\s*\$attachments_dir\s*=\s*(["\'])(\/[^"\'$]+)\1\s*;/m', $configuration, $found)) {
            return null;
        }
        return dirname(rtrim($found[2], '/')) . '/' . self::name($root);
    }

    private static function temporary(string $root): string
    {
        return sys_get_temp_dir() . '/' . self::name($root);
    }

    /** Several installs may share one parent folder. */
    private static function name(string $root): string
    {
        return 'tocsin-' . basename($root) . '-' . substr(sha1($root), 0, 8);
    }
}

/**
 * Makes free text (error messages, gateway results) safe to forward.
 *
 * First every value that the hook itself knows to be secret or personal is cut out wherever it stands; then
 * whatever looks like a secret; then the text is shortened.
 */
final class Redactor
{
    const REMOVED = '[removed]';

    /** Longer texts are cut before they are searched, so that a page of HTML costs nothing. */
    const SEARCHED = 8192;

    const SECRET_NAME = '(?:pass|pwd|secret|token|hash|key|auth|cvv|cvc|card|epp|credential|session|cookie|signature|otp|pin\b)';

    const PERSONAL_NAMES = ['firstname', 'lastname', 'fullname', 'companyname', 'email', 'address1', 'address2',
        'postcode', 'phonenumber', 'tax_id', 'username'];

    public static function clean(string $text, int $length, array $secrets = []): string
    {
        $text = str_replace($secrets, self::REMOVED, substr($text, 0, self::SEARCHED));
        foreach (self::suspicious() as $pattern => $replacement) {
            $cleaned = preg_replace($pattern, $replacement, $text);
            if ($cleaned === null) {
                return self::REMOVED; // what could not be searched is not known to be safe
            }
            $text = $cleaned;
        }
        return self::clip(trim($text), $length);
    }

    private static function suspicious(): array
    {
        $name = '[\w.\[\]-]*' . self::SECRET_NAME . '[\w.\[\]-]*(?:\s(?:code|key|number))?';
        $quoted = '"(?:\\\\.|[^"\\\\])*"?|\'(?:\\\\.|[^\'\\\\])*\'?';
        return [
            '/-----BEGIN [^-]+-----.*?(?:-----END [^-]+-----|$)/s' => self::REMOVED,
            '~(\w://)[^\s/@]+@~' => '$1',
            '~(https?://[^\s?"\'<>]*)\?[^\s"\'<>]*~i' => '$1?' . self::REMOVED,
            '/\b(bearer|basic|digest)\s+[\w.~+\/=-]{6,}/i' => '$1 ' . self::REMOVED,
            '/(<[^>]*' . self::SECRET_NAME . '[^>]*>)[^<]+/i' => '$1' . self::REMOVED,
            '/(["\']?' . $name . '["\']?\s*(?:=>|[:=])\s*)(?:' . $quoted . '|\S+)/i' => '$1' . self::REMOVED,
            '/(' . $name . '\s+(?:is\s+|was\s+)?)(?:"[^"]+"|\'[^\']+\'|`[^`]+`)/i' => '$1' . self::REMOVED,
            '/[^\s@<>"\',;:()]+@[^\s@<>"\',;:()]+\.[a-z]{2,}/i' => '[email]',
            '/(?<![\d-])(?:\d[ -]?){12,18}\d(?![\d-])/' => self::REMOVED,
            '/(?<![\w.])(?=[\w=+-]*\d)(?=[\w=+-]*[a-z])[\w=+-]{32,}/i' => self::REMOVED,
        ];
    }

    /** @return string[] values under secret or personal names, longest first, also as URLs and HTML write them */
    public static function secretsIn(array $vars, int $depth = 4): array
    {
        $found = [];
        self::collect($vars, $depth, $found);
        $found = array_keys($found);
        usort($found, static function ($one, $other) {
            return strlen((string) $other) - strlen((string) $one);
        });
        return array_map('strval', $found);
    }

    private static function collect(array $vars, int $depth, array &$found): void
    {
        foreach ($vars as $name => $value) {
            if (is_array($value) && $depth > 0) {
                self::collect($value, $depth - 1, $found);
            } elseif (is_scalar($value) && strlen((string) $value) >= 4 && self::isSensitive((string) $name)) {
                $value = (string) $value;
                $found[$value] = $found[rawurlencode($value)] = $found[htmlspecialchars($value, ENT_QUOTES)] = true;
            }
        }
    }

    private static function isSensitive(string $name): bool
    {
        return in_array(strtolower($name), self::PERSONAL_NAMES, true)
            || preg_match('/' . self::SECRET_NAME . '/i', $name) === 1;
    }

    /** Shortens on a character, not inside one. */
    public static function clip(string $text, int $length): string
    {
        if (strlen($text) <= $length) {
            return $text;
        }
        return preg_match('/^.{0,' . $length . '}/us', $text, $found) ? $found[0] : substr($text, 0, $length);
    }
}

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

/**
 * Keeps the spool within its bound: the oldest quiet events go first, and each one that goes is counted.
 */
final class Room
{
    private $folder;
    private $segments;
    private $maxBytes;

    public function __construct(Folder $folder, Segments $segments, int $maxBytes)
    {
        $this->folder = $folder;
        $this->segments = $segments;
        $this->maxBytes = $maxBytes;
    }

    /** Called with the spool's lock held, when a new segment is begun: seldom. */
    public function make(Head $head, int $needed): void
    {
        $excess = $this->segments->total() + $needed - $this->maxBytes;
        if ($excess <= 0) {
            return;
        }
        // What a flusher is sending at this moment is neither waiting nor sent: it is spared until that is settled.
        $flusher = $this->folder->lock(Flusher::LOCK, 0);
        $state = FlushState::load($this->folder);
        foreach (Spool::STREAMS as $stream) {
            foreach ($this->segments->numbers($stream) as $number) {
                $isBeingSent = $flusher === null && $number <= $state->inFlight[$stream][0];
                if ($excess > 0 && !$isBeingSent) {
                    $excess -= $this->drop($head, $stream, $number, $state->positions[$stream]);
                }
            }
        }
        if ($flusher !== null) {
            fclose($flusher);
        }
    }

    private function unsent(string $stream, int $number, array $position): int
    {
        if ($number < $position[0]) {
            return 0;
        }
        return $this->segments->count($stream, $number, $number === $position[0] ? $position[1] : 0);
    }

    private function drop(Head $head, string $stream, int $number, array $position): int
    {
        $size = $this->segments->size($stream, $number);
        $unsent = $this->unsent($stream, $number, $position);
        if (!$this->segments->remove($stream, $number)) {
            return 0;
        }
        if ($stream === Spool::QUIET) {
            $head->droppedQuiet += $unsent;
        } else {
            $head->droppedLoud += $unsent;
        }
        if ($head->segment[$stream] === $number) {
            $head->segment[$stream] = $head->size[$stream] = 0;
        }
        return $size;
    }
}

/**
 * The files of the spool: `quiet-N.ndjson` and `loud-N.ndjson`, N being the sequence of the first event in it.
 *
 * Quiet and loud events lie in files of their own, so that making room is the removal of a file, not the rewriting
 * of one while a page waits.
 */
final class Segments
{
    private $folder;

    public function __construct(Folder $folder)
    {
        $this->folder = $folder;
    }

    public function name(string $stream, int $number): string
    {
        return sprintf('%s-%016d.ndjson', $stream, $number);
    }

    public function path(string $stream, int $number): string
    {
        return $this->folder->path($this->name($stream, $number));
    }

    /** @return int[] oldest first */
    public function numbers(string $stream): array
    {
        $numbers = [];
        foreach (@scandir($this->folder->path()) ?: [] as $name) {
            if (sscanf($name, $stream . '-%d.ndjson', $number) === 1 && $name === $this->name($stream, $number)) {
                $numbers[] = $number;
            }
        }
        return $numbers;
    }

    public function size(string $stream, int $number): int
    {
        clearstatcache(true, $this->path($stream, $number));
        return (int) @filesize($this->path($stream, $number));
    }

    public function total(): int
    {
        $total = 0;
        foreach (Spool::STREAMS as $stream) {
            foreach ($this->numbers($stream) as $number) {
                $total += $this->size($stream, $number);
            }
        }
        return $total;
    }

    /** Lines from an offset to the end. */
    public function count(string $stream, int $number, int $offset = 0): int
    {
        return substr_count((string) @file_get_contents($this->path($stream, $number), false, null, $offset), "\n");
    }

    /** The end of a segment: at least its last two lines. */
    public function tail(string $stream, int $number): string
    {
        $start = max(0, $this->size($stream, $number) - 2 * Spool::LONGEST_LINE);
        return (string) @file_get_contents($this->path($stream, $number), false, null, $start);
    }

    /** The highest number in some lines; also read from a torn line, since that number is used up too. */
    public static function lastSequence(string $lines): int
    {
        preg_match_all('/^\{"source":"[^"]*","sequence":(\d+)/m', $lines, $numbers);
        return $numbers[1] === [] ? 0 : (int) max($numbers[1]);
    }

    public function remove(string $stream, int $number): bool
    {
        return @unlink($this->path($stream, $number));
    }
}

/**
 * The one door to the network: posts a signed batch, with short limits and TLS verification that cannot be turned off.
 */
final class Sender
{
    const CONNECT_SECONDS = 1;
    const LONGEST_ANSWER = 2000000;

    private $settings;
    private $curl;

    public function __construct(Settings $settings)
    {
        $this->settings = $settings;
    }

    public function post(string $body, float $seconds): Response
    {
        $url = $this->settings->serverUrl . '/api/v1/events';
        if (!preg_match('~^https?://[^\s/]~i', $url)) {
            return new Response(0, '', '', 'the server address must begin with https://');
        }
        $headers = [
            'Authorization: Bearer ' . $this->settings->apiKey,
            'Content-Type: application/x-ndjson',
            'X-Tocsin-Signature: ' . self::signature($body, $this->settings->apiKey, time()),
            'User-Agent: tocsin-bridge/' . Bridge::VERSION . ' php/' . PHP_VERSION,
            'Expect:', // otherwise curl asks first and waits a second for leave
        ];
        return function_exists('curl_init') && !defined('TOCSIN_WITHOUT_CURL')
            ? $this->withCurl($url, $headers, $body, $seconds)
            : $this->withStreams($url, $headers, $body, $seconds);
    }

    public static function signature(string $body, string $key, int $time): string
    {
        return "t=$time,v1=" . hash_hmac('sha256', $time . '.' . $body, $key);
    }

    private function withCurl(string $url, array $headers, string $body, float $seconds): Response
    {
        $this->curl = $this->curl ?: curl_init(); // kept: the next batch uses the same connection
        $answer = $retryAfter = '';
        curl_setopt_array($this->curl, [
            CURLOPT_URL => $url,
            CURLOPT_POST => true,
            CURLOPT_POSTFIELDS => $body,
            CURLOPT_HTTPHEADER => $headers,
            CURLOPT_CONNECTTIMEOUT => self::CONNECT_SECONDS,
            CURLOPT_TIMEOUT_MS => (int) ($seconds * 1000),
            CURLOPT_NOSIGNAL => true,
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_SSL_VERIFYPEER => true,
            CURLOPT_SSL_VERIFYHOST => 2,
            CURLOPT_HEADERFUNCTION => static function ($curl, $header) use (&$retryAfter) {
                if (stripos($header, 'retry-after:') === 0) {
                    $retryAfter = trim(substr($header, 12));
                }
                return strlen($header);
            },
            CURLOPT_WRITEFUNCTION => static function ($curl, $part) use (&$answer) {
                $answer .= $part;
                return strlen($answer) > self::LONGEST_ANSWER ? 0 : strlen($part);
            },
        ]);
        if ($this->settings->caFile !== '') {
            curl_setopt($this->curl, CURLOPT_CAINFO, $this->settings->caFile);
        }
        if (curl_exec($this->curl) === false) {
            return new Response(0, '', '', curl_error($this->curl));
        }
        return new Response((int) curl_getinfo($this->curl, CURLINFO_RESPONSE_CODE), $answer, $retryAfter);
    }

    private function withStreams(string $url, array $headers, string $body, float $seconds): Response
    {
        $tls = ['verify_peer' => true, 'verify_peer_name' => true, 'allow_self_signed' => false];
        if ($this->settings->caFile !== '') {
            $tls['cafile'] = $this->settings->caFile;
        }
        $http = [
            'method' => 'POST',
            'header' => array_merge(array_diff($headers, ['Expect:']), ['Connection: close']),
            'content' => $body,
            'timeout' => $seconds,
            'follow_location' => 0,
            'ignore_errors' => true, // an error status has a body worth reading
            'protocol_version' => 1.1,
        ];
        $stream = @fopen($url, 'rb', false, stream_context_create(['http' => $http, 'ssl' => $tls]));
        if ($stream === false) {
            return new Response(0, '', '', (string) (error_get_last()['message'] ?? 'no connection'));
        }
        $answer = (string) stream_get_contents($stream, self::LONGEST_ANSWER);
        return self::fromHeaders(stream_get_meta_data($stream)['wrapper_data'] ?? [], $answer);
    }

    private static function fromHeaders(array $lines, string $answer): Response
    {
        $status = 0;
        $retryAfter = '';
        foreach ($lines as $line) {
            if (preg_match('~^HTTP/\S+ (\d{3})~', $line, $found)) {
                $status = (int) $found[1];
            } elseif (stripos($line, 'retry-after:') === 0) {
                $retryAfter = trim(substr($line, 12));
            }
        }
        return new Response($status, $answer, $retryAfter, $status === 0 ? 'no HTTP answer' : '');
    }
}

/**
 * What the administrator chose, read once per request without a database query.
 *
 * Later sources win: defaults, the file that the settings page writes, `tocsin-config.php`, environment variables,
 * constants (both named TOCSIN_ and the setting in capitals).
 */
final class Settings
{
    const FILE = 'config.json';
    const PHP_FILE = 'tocsin-config.php';

    const PERSONAL_GROUPS = ['names', 'contact', 'texts', 'addresses'];

    const DEFAULTS = [
        'server_url' => '',
        'api_key' => '',
        'personal' => [],
        'log_patterns' => null,
        'folder' => '',
        'max_bytes' => 200000000,
        'flush_seconds' => 10,
        'ca_file' => '',
    ];

    public $root;
    public $serverUrl;
    public $apiKey;
    public $personal;
    public $folder;
    public $maxBytes;
    public $flushSeconds;
    public $caFile;
    private $patternText;
    private $patterns;

    public function __construct(string $root, array $values)
    {
        $values += self::DEFAULTS;
        $this->root = $root;
        $this->serverUrl = rtrim(trim((string) $values['server_url']), '/');
        $this->apiKey = trim((string) $values['api_key']);
        $this->personal = array_values(array_intersect(self::PERSONAL_GROUPS, self::words($values['personal'])));
        $this->patternText = $values['log_patterns'];
        $this->folder = rtrim((string) $values['folder'], '/') ?: Places::chosen($root);
        $this->maxBytes = max(10000, (int) $values['max_bytes']);
        $this->flushSeconds = max(1, (int) $values['flush_seconds']);
        $this->caFile = (string) $values['ca_file'];
    }

    public static function load(string $root): self
    {
        return new self($root, self::outside() + self::phpFile($root) + self::saved($root));
    }

    /** The values that the settings page saved. */
    public static function saved(string $root): array
    {
        $folder = Places::found($root);
        if ($folder === null) {
            return self::restored($root);
        }
        $values = json_decode((string) @file_get_contents($folder . '/' . self::FILE), true);
        return array_filter(['folder' => $values['folder'] ?? '']) + (array) $values + ['folder' => $folder];
    }

    /** Writes the file that pages read. It stays where it is found without a database, whatever folder it names. */
    public static function save(string $root, array $values): void
    {
        $folder = Folder::opened(Places::found($root) ?? Places::chosen($root));
        if (!$folder->write(self::FILE, json_encode($values, Event::JSON))) {
            throw new \RuntimeException('The settings could not be written to ' . $folder->path(self::FILE)
                . '. Check that the disk is not full and the folder belongs to the web server.');
        }
    }

    /** The file was deleted, or WHMCS moved: the add-on has a copy in the database. */
    private static function restored(string $root): array
    {
        $values = class_exists(SettingsTable::class) ? SettingsTable::load() : [];
        if ($values !== []) {
            self::save($root, $values);
        }
        return $values;
    }

    private static function outside(): array
    {
        $values = [];
        foreach (array_keys(self::DEFAULTS) as $name) {
            $outside = 'TOCSIN_' . strtoupper($name);
            $value = defined($outside) ? constant($outside) : getenv($outside);
            if ($value !== false && $value !== '') {
                $values[$name] = $value;
            }
        }
        return $values;
    }

    /** For the single-file variant: better beside WHMCS's folder than in it. */
    private static function phpFile(string $root): array
    {
        foreach ([dirname($root), $root] as $folder) {
            if (is_file($folder . '/' . self::PHP_FILE)) {
                $values = include $folder . '/' . self::PHP_FILE;
                return is_array($values) ? $values : [];
            }
        }
        return [];
    }

    /** @return string[] from a list or from "one, two" */
    private static function words($value): array
    {
        return is_array($value) ? $value : preg_split('/[\s,]+/', (string) $value, -1, PREG_SPLIT_NO_EMPTY);
    }

    /** As the administrator wrote them; an empty text means that no line is wanted. */
    public function patternText(): string
    {
        return (string) ($this->patternText ?? LogPatterns::DEFAULTS);
    }

    /** @return array<string,string> compiled at the first log line, since most requests write none */
    public function logPatterns(): array
    {
        if ($this->patterns === null) {
            $this->patterns = LogPatterns::parsed($this->patternText())['patterns'];
        }
        return $this->patterns;
    }

    public function isComplete(): bool
    {
        return $this->serverUrl !== '' && $this->apiKey !== '';
    }
}

/**
 * Takes events from hooks: numbers each one and appends it to a file, under one lock, in well under a millisecond.
 *
 * The head is written before the line. A process that dies between the two leaves a number without an event, which
 * is what happened; never two events with one number.
 */
final class Spool
{
    const QUIET = 'quiet';
    const LOUD = 'loud';
    const STREAMS = [self::QUIET, self::LOUD];

    /** A whole event, attributes and message at their bounds, is far below. */
    const LONGEST_LINE = 65536;

    public $folder;
    public $segments;
    private $maxBytes;
    private $segmentBytes;
    private $headFile;
    private $open = [];
    private $stuck = false;

    public function __construct(Folder $folder, int $maxBytes)
    {
        $this->folder = $folder;
        $this->segments = new Segments($folder);
        $this->maxBytes = $maxBytes;
        $this->segmentBytes = (int) min(1000000, max(1000, $maxBytes / 16));
    }

    /** @param string $json an event object without source and sequence */
    public function append(string $stream, string $json): void
    {
        if (strlen($json) > self::LONGEST_LINE) {
            throw new \LengthException('event is too long for the spool');
        }
        if ($this->stuck || !$this->lock(Folder::WAIT_SECONDS)) {
            $this->stuck = true; // one wait per request is enough
            $this->setAside($stream, $json);
            return;
        }
        try {
            $this->write($stream, $json);
        } finally {
            flock($this->headFile, LOCK_UN);
        }
    }

    private function write(string $stream, string $json): void
    {
        $head = $this->head();
        $segment = $this->segment($head, $stream, strlen($json) + 100);
        $sizeBefore = $head->size[$stream];
        $line = '{"source":"' . $head->source . '","sequence":' . ++$head->sequence . ',' . substr($json, 1) . "\n";
        $head->size[$stream] += strlen($line);
        $this->save($head);
        if (@fwrite($segment, $line) !== strlen($line)) {
            $this->undo($head, $stream, $segment, $sizeBefore);
        }
    }

    /** The disk is full: take back the half line. The number stays used, so that the server sees the gap. */
    private function undo(Head $head, string $stream, $segment, int $size): void
    {
        @ftruncate($segment, $size);
        $head->size[$stream] = $size;
        $head->lost++;
        $this->save($head);
        throw new \RuntimeException('An event could not be written: is the disk of ' . $this->folder->path() . ' full?');
    }

    /** @return resource the file to append to, whole up to its end */
    private function segment(Head $head, string $stream, int $needed)
    {
        if ($head->segment[$stream] === 0 || $head->size[$stream] + $needed > $this->segmentBytes) {
            (new Room($this->folder, $this->segments, $this->maxBytes))->make($head, 2 * $this->segmentBytes);
            $head->segment[$stream] = $head->sequence + 1;
            $head->size[$stream] = 0;
        }
        $file = $this->opened($stream, $head->segment[$stream]);
        $found = fstat($file);
        if ($found['nlink'] === 0) {
            unset($this->open[$stream]); // removed by hand while we had it open
            $file = $this->opened($stream, $head->segment[$stream]);
            $found = fstat($file);
        }
        if ($found['size'] !== $head->size[$stream]) {
            $this->repair($head, $stream, $file, $found['size']);
        }
        return $file;
    }

    private function opened(string $stream, int $number)
    {
        if (($this->open[$stream][0] ?? null) !== $number) {
            $this->open[$stream] = [$number, $this->folder->file($this->segments->name($stream, $number))];
        }
        fseek($this->open[$stream][1], 0, SEEK_END);
        return $this->open[$stream][1];
    }

    /** A process died in the middle of a line, or the machine before the head was on disk. */
    private function repair(Head $head, string $stream, $file, int $size): void
    {
        $tail = $this->segments->tail($stream, $head->segment[$stream]);
        if ($tail !== '' && substr($tail, -1) !== "\n") {
            $size += (int) @fwrite($file, "\n"); // the torn line ends here, and the reader puts it aside
        }
        $head->sequence = max($head->sequence, Segments::lastSequence($tail));
        $head->size[$stream] = $size;
    }

    private function lock(float $wait): bool
    {
        if ($this->headFile === null) {
            $this->headFile = $this->folder->file(Head::FILE);
        }
        if (!Folder::locked($this->headFile, $wait)) {
            return false;
        }
        if (fstat($this->headFile)['nlink'] === 0) {
            $this->headFile = null; // the folder was emptied under a running process
            $this->open = [];
            return $this->lock($wait);
        }
        return true;
    }

    private function head(): Head
    {
        rewind($this->headFile);
        return Head::decoded((string) fread($this->headFile, 512)) ?? $this->newHead();
    }

    /** Numbering starts under a new name, so that the server does not take it for a replay. */
    private function newHead(): Head
    {
        $head = new Head('whmcs-' . bin2hex(random_bytes(8)));
        $positions = FlushState::load($this->folder)->positions;
        foreach (self::STREAMS as $stream) {
            // Above all that was ever used: segments are named by number and sent in that order.
            $numbers = $this->segments->numbers($stream) ?: [0];
            $written = Segments::lastSequence($this->segments->tail($stream, end($numbers)));
            $head->sequence = max($head->sequence, end($numbers), $written, $positions[$stream][0]);
        }
        return $head;
    }

    private function save(Head $head): void
    {
        $record = $head->encoded();
        rewind($this->headFile);
        if (@fwrite($this->headFile, $record) !== strlen($record)) {
            throw new \RuntimeException('The spool in ' . $this->folder->path() . ' cannot be written: is the disk full?');
        }
    }

    /** One whole file per event, which needs no lock; the next flush gives it its number. */
    private function setAside(string $stream, string $json): void
    {
        $this->folder->write(sprintf('aside-%s-%s.json', Event::uuid7(microtime(true)), $stream), $json);
    }

    public function adoptSetAside(): void
    {
        foreach (@scandir($this->folder->path()) ?: [] as $name) {
            if (preg_match('/^aside-[0-9a-f-]+-(quiet|loud)\.json$/D', $name, $found)) {
                $this->append($found[1], $this->folder->read($name));
                if ($this->stuck) {
                    return; // still no lock: appending has set it aside once more
                }
                @unlink($this->folder->path($name));
            }
        }
    }

    /**
     * Reads or changes the head while no event can be appended.
     *
     * @param callable|null $change given the head; it is written back
     * @return Head|null null if the lock cannot be had
     */
    public function withHead(?callable $change = null)
    {
        if (!$this->lock(1.0)) {
            return null;
        }
        try {
            $head = $this->head();
            if ($change !== null) {
                $change($head);
                $this->save($head);
            }
            return $head;
        } finally {
            flock($this->headFile, LOCK_UN);
        }
    }
}

/**
 * Walks over the lines of one stream, from segment to segment, with one line of foresight.
 */
final class StreamCursor
{
    private $segments;
    private $stream;
    private $number;
    private $offset;
    private $file;
    private $next;

    /** @param int[] $position segment and offset to start from */
    public function __construct(Segments $segments, string $stream, array $position)
    {
        $this->segments = $segments;
        $this->stream = $stream;
        list($this->number, $this->offset) = $position;
    }

    /** @return Line|null the next line without taking it; null at the end */
    public function peek()
    {
        if ($this->next === null) {
            $this->next = $this->read();
        }
        return $this->next;
    }

    public function take(): void
    {
        $this->next = null;
    }

    private function read()
    {
        while ($this->file !== null || $this->open($this->number, $this->offset)) {
            $text = fgets($this->file);
            if ($text !== false && substr($text, -1) === "\n") {
                $this->offset += strlen($text);
                return $this->line(rtrim($text, "\n"));
            }
            // The end, or a line being written: go on only if a later segment shows that nothing will follow here.
            if (!$this->openLater()) {
                return null;
            }
        }
        return null;
    }

    private function line(string $text): Line
    {
        $event = json_decode($text, true);
        $sequence = is_array($event) ? (int) ($event['sequence'] ?? 0) : 0;
        return new Line($text, $sequence, $this->stream, [$this->number, $this->offset]);
    }

    /** A segment that is gone was sent or dropped: the first later one follows. */
    private function open(int $number, int $offset): bool
    {
        $file = $number > 0 ? @fopen($this->segments->path($this->stream, $number), 'rb') : false;
        if ($file === false) {
            return $this->openLater();
        }
        fseek($file, $offset);
        $this->file = $file;
        return true;
    }

    private function openLater(): bool
    {
        foreach ($this->segments->numbers($this->stream) as $number) {
            if ($number > $this->number) {
                $this->file = @fopen($this->segments->path($this->stream, $number), 'rb') ?: null;
                $this->number = $number;
                $this->offset = 0;
                return $this->file !== null || $this->openLater();
            }
        }
        return false;
    }
}

/**
 * What an answer of the server means for the batch that was sent.
 */
final class Verdict
{
    const TAKEN = 'taken';
    /** The batch as it is cannot be taken: smaller ones can, down to the line at fault. */
    const SPLIT = 'split';
    /** Nothing was taken: the same batch again, later. */
    const LATER = 'later';

    const LONGEST_WAIT = 3600;

    public $kind;
    public $reason = '';
    public $retryAfter = 0;
    public $isOurFault = false;
    /** @var array[] members of the batch that the server refused for good: index, id, errors */
    public $rejected = [];

    private function __construct(string $kind)
    {
        $this->kind = $kind;
    }

    public static function on(Response $response): self
    {
        $status = $response->status;
        if ($status >= 200 && $status < 300) {
            return self::onSuccess($response);
        }
        if ($status === 413 || (in_array($status, [400, 422], true) && $response->isTocsin())) {
            $verdict = new self(self::SPLIT);
            $verdict->reason = "the server refused it ($status): " . $response->detail();
            return $verdict;
        }
        $verdict = new self(self::LATER);
        $verdict->isOurFault = $status >= 300 && $status < 500 && $status !== 429 && $status !== 408;
        $verdict->retryAfter = min(self::LONGEST_WAIT, $response->retryAfter);
        $verdict->reason = self::explained($response);
        return $verdict;
    }

    /** A login page or a proxy may answer 200 too: only Tocsin's own answer counts as taken. */
    private static function onSuccess(Response $response): self
    {
        $answer = json_decode($response->body, true);
        if (!is_array($answer) || !isset($answer['accepted'])) {
            $verdict = new self(self::LATER);
            $verdict->isOurFault = true;
            $verdict->reason = 'Something answered, but it was not Tocsin. Check the server address.';
            return $verdict;
        }
        $verdict = new self(self::TAKEN);
        $verdict->rejected = is_array($answer['rejected'] ?? null) ? $answer['rejected'] : [];
        return $verdict;
    }

    private static function explained(Response $response): string
    {
        $status = $response->status;
        if ($status === 0) {
            return "The server could not be reached: $response->error";
        }
        if ($status === 401 || $status === 403) {
            return "The server refused the API key ($status). Make a key with the scope `ingest`, enter it in the settings"
                . ' and check that this machine\'s clock is right. Nothing is lost meanwhile.';
        }
        if ($status < 400) {
            return "The server address redirects ($status). Enter the final address in the settings.";
        }
        if (in_array($status, [400, 404, 405, 422], true)) {
            return "There is no Tocsin at this address ($status). Check the server address in the settings.";
        }
        return "The server cannot take events now ($status): " . $response->detail();
    }
}

}

if (PHP_SAPI === 'cli' && realpath($_SERVER['SCRIPT_FILENAME'] ?? '') === __FILE__) {
    exit(Command::run(dirname(__DIR__, 2), $argv));
}
if (!defined('WHMCS')) {
    die('This file is part of WHMCS and cannot be opened by itself.');
}
Hooks::register(Places::root(dirname(__DIR__, 2)));
