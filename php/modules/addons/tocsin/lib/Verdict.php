<?php

namespace Tocsin\Bridge;

/**
 * What an answer of the server means for the batch that was sent.
 */
final class Verdict
{
    const TAKEN = 'taken';
    /** The batch as it is cannot be taken: smaller ones can, down to the line at fault. */
    const SPLIT = 'split';
    /** Nothing was taken: the same batch again, later. */
    const LATER = 'later';

    const LONGEST_WAIT = 3600;

    public $kind;
    public $reason = '';
    public $retryAfter = 0;
    public $isOurFault = false;
    /** @var array[] members of the batch that the server refused for good: index, id, errors */
    public $rejected = [];

    private function __construct(string $kind)
    {
        $this->kind = $kind;
    }

    public static function on(Response $response): self
    {
        $status = $response->status;
        if ($status >= 200 && $status < 300) {
            return self::onSuccess($response);
        }
        if ($status === 413 || (in_array($status, [400, 422], true) && $response->isTocsin())) {
            $verdict = new self(self::SPLIT);
            $verdict->reason = "the server refused it ($status): " . $response->detail();
            return $verdict;
        }
        $verdict = new self(self::LATER);
        $verdict->isOurFault = $status >= 300 && $status < 500 && $status !== 429 && $status !== 408;
        $verdict->retryAfter = min(self::LONGEST_WAIT, $response->retryAfter);
        $verdict->reason = self::explained($response);
        return $verdict;
    }

    /** A login page or a proxy may answer 200 too: only Tocsin's own answer counts as taken. */
    private static function onSuccess(Response $response): self
    {
        $answer = json_decode($response->body, true);
        if (!is_array($answer) || !isset($answer['accepted'])) {
            $verdict = new self(self::LATER);
            $verdict->isOurFault = true;
            $verdict->reason = 'Something answered, but it was not Tocsin. Check the server address.';
            return $verdict;
        }
        $verdict = new self(self::TAKEN);
        $verdict->rejected = is_array($answer['rejected'] ?? null) ? $answer['rejected'] : [];
        return $verdict;
    }

    private static function explained(Response $response): string
    {
        $status = $response->status;
        if ($status === 0) {
            return "The server could not be reached: $response->error";
        }
        if ($status === 401 || $status === 403) {
            return "The server refused the API key ($status). Make a key with the scope `ingest`, enter it in the settings"
                . ' and check that this machine\'s clock is right. Nothing is lost meanwhile.';
        }
        if ($status < 400) {
            return "The server address redirects ($status). Enter the final address in the settings.";
        }
        if (in_array($status, [400, 404, 405, 422], true)) {
            return "There is no Tocsin at this address ($status). Check the server address in the settings.";
        }
        return "The server cannot take events now ($status): " . $response->detail();
    }
}
