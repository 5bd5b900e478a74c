<?php

namespace Tocsin\Bridge;

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
