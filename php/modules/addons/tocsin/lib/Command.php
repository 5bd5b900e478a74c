<?php

namespace Tocsin\Bridge;

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
