<?php

namespace Tocsin\Bridge;

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
