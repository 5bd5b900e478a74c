<?php

namespace Tocsin\Bridge;

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
