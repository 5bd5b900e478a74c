<?php

/**
 * As much of WHMCS as the bridge touches. Anything PHP complains about is collected, so that a test can insist on
 * silence.
 */

namespace {
    error_reporting(E_ALL);
    set_error_handler(function ($level, $message, $file, $line) {
        if (error_reporting() & $level) {
            $GLOBALS['standin_complaints'][] = "$message in " . basename($file) . ":$line";
        }
        return true;
    });

    define('WHMCS', true);
    define('ROOTDIR', $GLOBALS['standin_root']);

    $GLOBALS['standin_hooks'] = [];
    $GLOBALS['standin_complaints'] = [];
    $GLOBALS['standin_activity'] = [];

    function add_hook($name, $priority, $callback)
    {
        $GLOBALS['standin_hooks'][$name][] = [$priority, $callback];
    }

    /** @return array what the callbacks returned; WHMCS acts on anything but null */
    function run_hook($name, ...$args)
    {
        $returned = [];
        foreach ($GLOBALS['standin_hooks'][$name] ?? [] as list(, $callback)) {
            $returned[] = $callback(...$args);
        }
        return $returned;
    }

    /** Fires LogActivity after the entry, as WHMCS does: a bridge that logs inside the hook would never end. */
    function logActivity($text, $clientId = 0)
    {
        $GLOBALS['standin_activity'][] = $text;
        if (count($GLOBALS['standin_activity']) > 1000) {
            throw new \RuntimeException('logActivity recurses');
        }
        run_hook('LogActivity', ['description' => $text, 'user' => 'System', 'userid' => $clientId, 'ipaddress' => '192.0.2.7']);
    }

    function generate_token($type = 'form')
    {
        return '<input type="hidden" name="token" value="standin-token">';
    }

    function check_token($namespace)
    {
        if (($_POST['token'] ?? '') !== 'standin-token') {
            throw new \RuntimeException('Invalid token');
        }
    }

    function encrypt($text)
    {
        return 'encrypted:' . strrev($text);
    }

    function decrypt($text)
    {
        return strrev(substr($text, 10));
    }
}

namespace WHMCS\Config {
    final class Setting
    {
        public static function getValue($name)
        {
            if ($name === 'MaintenanceMode') {
                return is_file(ROOTDIR . '/maintenance-mode') ? 'on' : '';
            }
            return $name === 'SystemURL' ? 'https://billing.example.test/' : null;
        }
    }
}

namespace WHMCS\Database {
    /** One table in a JSON file; every query is counted, since a hook must not make any. */
    final class Capsule
    {
        public static $queries = 0;
        public static $listeners = [];
        private $conditions = [];

        public static function table($name)
        {
            self::$queries++;
            return new self();
        }

        public static function connection()
        {
            return new self();
        }

        public function listen($listener)
        {
            self::$listeners[] = $listener;
        }

        public function where(array $conditions)
        {
            $this->conditions = $conditions;
            return $this;
        }

        public function get()
        {
            return array_map(function ($row) {
                return (object) $row;
            }, array_values(array_filter(self::rows(), [$this, 'matches'])));
        }

        public function insert(array $row)
        {
            self::store(array_merge(self::rows(), [$row]));
        }

        public function delete()
        {
            self::store(array_values(array_filter(self::rows(), function ($row) {
                return !$this->matches($row);
            })));
        }

        private function matches(array $row)
        {
            return array_intersect_assoc($this->conditions, $row) === $this->conditions;
        }

        private static function rows()
        {
            return json_decode((string) @file_get_contents(ROOTDIR . '/database.json'), true) ?: [];
        }

        private static function store(array $rows)
        {
            file_put_contents(ROOTDIR . '/database.json', json_encode($rows));
        }
    }
}

namespace {
    /** Stands for a process that stops while it holds the spool's lock. */
    function hold_spool($head)
    {
        $GLOBALS['held'] = fopen($head, 'r+');
        return flock($GLOBALS['held'], LOCK_EX);
    }

    function spool_in($folder)
    {
        return new Tocsin\Bridge\Spool(Tocsin\Bridge\Folder::opened($folder), 200000000);
    }

    function batch_up_to($folder, $last)
    {
        $start = ['quiet' => [0, 0], 'loud' => [0, 0]];
        return array_column(Tocsin\Bridge\Batch::next(spool_in($folder)->segments, $start, $last, 500, 1000000)->lines, 'sequence');
    }

    function head_before_and_after_another_writer($folder)
    {
        $reader = spool_in($folder);
        $before = $reader->withHead()->sequence;
        spool_in($folder)->append('loud', '{"id":"x"}');
        return [$before, $reader->withHead()->sequence];
    }

    /** Stands for an administrator who tidies up; the settings stay. */
    function delete_spool($folder)
    {
        array_map('unlink', array_merge([$folder . '/head'], glob($folder . '/*.ndjson')));
    }
}

namespace {
    /** PHP-FPM lets a page end before its process does; the times tell what the visitor waited for. */
    function be_php_fpm()
    {
        eval('function fastcgi_finish_request() {
            $GLOBALS["result"]["response_seconds"] = microtime(true) - $GLOBALS["started"];
            return true;
        }');
    }
}

namespace {
    function forget_token()
    {
        $_POST['token'] = 'forged';
    }
}
