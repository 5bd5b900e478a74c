<?php

namespace Tocsin\Bridge;

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
