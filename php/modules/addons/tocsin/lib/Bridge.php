<?php

namespace Tocsin\Bridge;

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
