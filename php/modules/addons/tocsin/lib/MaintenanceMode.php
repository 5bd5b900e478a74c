<?php

namespace Tocsin\Bridge;

/**
 * Tells when WHMCS goes into its maintenance mode and leaves it: no hook does. The last answer is kept as a file.
 */
final class MaintenanceMode
{
    const STARTED = 'system.maintenance_started';
    const ENDED = 'system.maintenance_ended';
    const FILE = 'maintenance';

    private $folder;

    public function __construct(Folder $folder)
    {
        $this->folder = $folder;
    }

    /** @return string|null the type of the event to send; null while nothing has changed, or WHMCS is not loaded */
    public function change()
    {
        if (!class_exists('\WHMCS\Config\Setting')) {
            return null;
        }
        $on = in_array(\WHMCS\Config\Setting::getValue('MaintenanceMode'), ['on', '1', 1, true], true);
        if ($on === is_file($this->folder->path(self::FILE))) {
            return null;
        }
        return $on ? self::STARTED : self::ENDED;
    }

    /** After the event is in the spool: a crash in between sends it twice, which changes nothing, rather than never. */
    public function keep(string $type): void
    {
        if ($type === self::STARTED) {
            $this->folder->write(self::FILE, '');
        } else {
            @unlink($this->folder->path(self::FILE));
        }
    }
}
