<?php

namespace Tocsin\Bridge;

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
