<?php

namespace Tocsin\Bridge;

use WHMCS\Database\Capsule;

/**
 * The add-on's settings in WHMCS's own table: the copy that survives when the file is deleted or WHMCS is moved.
 *
 * Hooks never read it, except once to write the missing file anew.
 */
final class SettingsTable
{
    const MODULE = 'tocsin';

    public static function save(array $values): void
    {
        foreach ($values as $name => $value) {
            $row = ['module' => self::MODULE, 'setting' => $name];
            Capsule::table('tbladdonmodules')->where($row)->delete();
            Capsule::table('tbladdonmodules')->insert($row + ['value' => self::encoded($name, $value)]);
        }
    }

    /** @return array the saved values; [] if there are none or there is no WHMCS around */
    public static function load(): array
    {
        if (!class_exists(Capsule::class)) {
            return [];
        }
        $values = [];
        foreach (Capsule::table('tbladdonmodules')->where(['module' => self::MODULE])->get() as $row) {
            if (array_key_exists($row->setting, Settings::DEFAULTS + [Brought::MARK => ''])) {
                $values[$row->setting] = self::decoded($row->setting, $row->value);
            }
        }
        return $values;
    }

    /** The key is encrypted as WHMCS encrypts its own, so that a database dump does not give it away. */
    private static function encoded(string $name, $value): string
    {
        if ($name === 'api_key' && function_exists('encrypt')) {
            return encrypt((string) $value);
        }
        return is_array($value) ? implode(',', $value) : (string) $value;
    }

    private static function decoded(string $name, string $value): string
    {
        return $name === 'api_key' && function_exists('decrypt') ? (string) decrypt($value) : $value;
    }
}
