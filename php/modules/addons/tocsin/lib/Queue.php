<?php

namespace Tocsin\Bridge;

/**
 * What the settings page shows about the spool: figures and findings, no HTML.
 */
final class Queue
{
    const SHOWN = 20;

    private $settings;
    private $folder;
    private $head;
    private $state;

    /** @throws \RuntimeException if the folder cannot be used */
    public function __construct(Settings $settings)
    {
        $this->settings = $settings;
        $this->folder = Folder::opened($settings->folder);
        $spool = new Spool($this->folder, $settings->maxBytes);
        $this->head = $spool->withHead(static function () {
            // Writing the head back gives a new install its name at once.
        }) ?? new Head('(locked by another process)');
        $this->state = FlushState::load($this->folder);
    }

    public function waiting(): int
    {
        return max(0, $this->head->sequence - $this->head->dropped() - $this->head->lost - $this->state->settled);
    }

    /** @return array<string,string> label => value */
    public function facts(): array
    {
        $bytes = (new Segments($this->folder))->total();
        return [
            'Waiting' => number_format($this->waiting()) . ' events, ' . self::size($bytes) . ' of '
                . self::size($this->settings->maxBytes),
            'Last sent' => self::ago($this->state->lastSuccess),
            'Next attempt' => $this->state->notBefore > microtime(true) ? Event::time($this->state->notBefore) : 'when due',
            'Recorded so far' => number_format($this->head->sequence),
            'Dropped for lack of room' => number_format($this->head->droppedQuiet) . ' quiet, '
                . number_format($this->head->droppedLoud) . ' loud',
            'Could not be written' => number_format($this->head->lost),
            'Refused by the server' => number_format($this->state->refused),
            'Name of this install' => $this->head->source,
            'Folder' => $this->folder->path(),
        ];
    }

    /** @return array<array{string,string}> kind of alert and sentence */
    public function findings(): array
    {
        $findings = [];
        if ($this->state->lastError !== '') {
            $findings[] = ['danger', $this->state->lastError];
        }
        foreach (Places::warnings($this->folder->path(), $this->settings->root) as $warning) {
            $findings[] = ['warning', $warning];
        }
        foreach (LogPatterns::parsed($this->settings->patternText())['notes'] as $note) {
            $findings[] = ['warning', "Log patterns: $note"];
        }
        $fault = Faults::last($this->folder);
        if ($fault !== []) {
            $findings[] = ['warning', "Inside a hook something went wrong $fault[count] times, last at $fault[at]: $fault[message]"];
        }
        return $findings;
    }

    /** @return array[] the newest events that will not be sent again */
    public function refused(): array
    {
        return (new BoundedLog($this->folder, BoundedLog::REFUSED))->newest(self::SHOWN);
    }

    private static function size(int $bytes): string
    {
        return $bytes < 1000000 ? number_format($bytes / 1000, 1) . ' KB' : number_format($bytes / 1000000, 1) . ' MB';
    }

    private static function ago(float $time): string
    {
        if ($time <= 0) {
            return 'never';
        }
        $seconds = (int) max(0, microtime(true) - $time);
        return $seconds < 120 ? "$seconds seconds ago" : Event::time($time);
    }
}
