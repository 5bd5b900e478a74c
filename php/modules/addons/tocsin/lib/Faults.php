<?php

namespace Tocsin\Bridge;

/**
 * What went wrong inside a hook: kept for the queue view, never shown to a visitor.
 */
final class Faults
{
    const FILE = 'faults.json';

    public static function note(\Throwable $fault, ?Settings $settings = null): void
    {
        try {
            $folder = Folder::opened(($settings ?? Settings::load(Hooks::root()))->folder);
            $file = $folder->lock(self::FILE);
            if ($file !== null) {
                $earlier = json_decode((string) stream_get_contents($file), true);
                $count = (int) ($earlier['count'] ?? 0) + 1;
                $folder->rewrite($file, json_encode(['count' => $count, 'at' => Event::time(microtime(true)),
                    'message' => Redactor::clip($fault->getMessage(), 300)], Event::JSON));
                fclose($file);
            }
        } catch (\Throwable $second) {
            // The folder itself is out of order: the settings page says so when it is opened.
        }
    }

    public static function forget(Folder $folder): void
    {
        @unlink($folder->path(self::FILE));
    }

    /** @return array{count: int, at: string, message: string}|array{} */
    public static function last(Folder $folder): array
    {
        return json_decode($folder->read(self::FILE), true) ?: [];
    }
}
