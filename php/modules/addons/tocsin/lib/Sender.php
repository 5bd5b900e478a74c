<?php

namespace Tocsin\Bridge;

/**
 * The one door to the network: posts a signed batch, with short limits and TLS verification that cannot be turned off.
 */
final class Sender
{
    const CONNECT_SECONDS = 1;
    const LONGEST_ANSWER = 2000000;

    private $settings;
    private $curl;

    public function __construct(Settings $settings)
    {
        $this->settings = $settings;
    }

    public function post(string $body, float $seconds): Response
    {
        $url = $this->settings->serverUrl . '/api/v1/events';
        if (!preg_match('~^https?://[^\s/]~i', $url)) {
            return new Response(0, '', '', 'the server address must begin with https://');
        }
        $headers = [
            'Authorization: Bearer ' . $this->settings->apiKey,
            'Content-Type: application/x-ndjson',
            'X-Tocsin-Signature: ' . self::signature($body, $this->settings->apiKey, time()),
            'User-Agent: tocsin-bridge/' . Bridge::VERSION . ' php/' . PHP_VERSION,
            'Expect:', // otherwise curl asks first and waits a second for leave
        ];
        return function_exists('curl_init') && !defined('TOCSIN_WITHOUT_CURL')
            ? $this->withCurl($url, $headers, $body, $seconds)
            : $this->withStreams($url, $headers, $body, $seconds);
    }

    public static function signature(string $body, string $key, int $time): string
    {
        return "t=$time,v1=" . hash_hmac('sha256', $time . '.' . $body, $key);
    }

    private function withCurl(string $url, array $headers, string $body, float $seconds): Response
    {
        $this->curl = $this->curl ?: curl_init(); // kept: the next batch uses the same connection
        $answer = $retryAfter = '';
        curl_setopt_array($this->curl, [
            CURLOPT_URL => $url,
            CURLOPT_POST => true,
            CURLOPT_POSTFIELDS => $body,
            CURLOPT_HTTPHEADER => $headers,
            CURLOPT_CONNECTTIMEOUT => self::CONNECT_SECONDS,
            CURLOPT_TIMEOUT_MS => (int) ($seconds * 1000),
            CURLOPT_NOSIGNAL => true,
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_SSL_VERIFYPEER => true,
            CURLOPT_SSL_VERIFYHOST => 2,
            CURLOPT_HEADERFUNCTION => static function ($curl, $header) use (&$retryAfter) {
                if (stripos($header, 'retry-after:') === 0) {
                    $retryAfter = trim(substr($header, 12));
                }
                return strlen($header);
            },
            CURLOPT_WRITEFUNCTION => static function ($curl, $part) use (&$answer) {
                $answer .= $part;
                return strlen($answer) > self::LONGEST_ANSWER ? 0 : strlen($part);
            },
        ]);
        if ($this->settings->caFile !== '') {
            curl_setopt($this->curl, CURLOPT_CAINFO, $this->settings->caFile);
        }
        if (curl_exec($this->curl) === false) {
            return new Response(0, '', '', curl_error($this->curl));
        }
        return new Response((int) curl_getinfo($this->curl, CURLINFO_RESPONSE_CODE), $answer, $retryAfter);
    }

    private function withStreams(string $url, array $headers, string $body, float $seconds): Response
    {
        $tls = ['verify_peer' => true, 'verify_peer_name' => true, 'allow_self_signed' => false];
        if ($this->settings->caFile !== '') {
            $tls['cafile'] = $this->settings->caFile;
        }
        $http = [
            'method' => 'POST',
            'header' => array_merge(array_diff($headers, ['Expect:']), ['Connection: close']),
            'content' => $body,
            'timeout' => $seconds,
            'follow_location' => 0,
            'ignore_errors' => true, // an error status has a body worth reading
            'protocol_version' => 1.1,
        ];
        $stream = @fopen($url, 'rb', false, stream_context_create(['http' => $http, 'ssl' => $tls]));
        if ($stream === false) {
            return new Response(0, '', '', (string) (error_get_last()['message'] ?? 'no connection'));
        }
        $answer = (string) stream_get_contents($stream, self::LONGEST_ANSWER);
        return self::fromHeaders(stream_get_meta_data($stream)['wrapper_data'] ?? [], $answer);
    }

    private static function fromHeaders(array $lines, string $answer): Response
    {
        $status = 0;
        $retryAfter = '';
        foreach ($lines as $line) {
            if (preg_match('~^HTTP/\S+ (\d{3})~', $line, $found)) {
                $status = (int) $found[1];
            } elseif (stripos($line, 'retry-after:') === 0) {
                $retryAfter = trim(substr($line, 12));
            }
        }
        return new Response($status, $answer, $retryAfter, $status === 0 ? 'no HTTP answer' : '');
    }
}
