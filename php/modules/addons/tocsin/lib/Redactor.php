<?php

namespace Tocsin\Bridge;

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
