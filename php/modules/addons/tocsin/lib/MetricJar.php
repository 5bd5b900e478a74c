<?php

namespace Tocsin\Bridge;

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
