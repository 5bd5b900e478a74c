<?php

namespace Tocsin\Bridge;

/**
 * The add-on's page in the WHMCS admin area, in the Bootstrap 3 that WHMCS brings along.
 */
final class AdminPage
{
    const PERSONAL_LABELS = [
        'names' => 'Names: first, last and company name of clients, and who caused a log line',
        'contact' => 'Contact data: e-mail, postal address, telephone, tax number',
        'texts' => 'Texts: subjects and messages of tickets, notes, reasons, log lines (what looks like a secret is removed)',
        'addresses' => 'IP addresses of logins and log lines',
    ];

    private $root;
    private $link;

    /** @param string $link the address of this page, as WHMCS passes it */
    public function __construct(string $root, string $link)
    {
        $this->root = $root;
        $this->link = $link;
    }

    /** @param array<array{string,string}> $notices what an action had to say */
    public function html(array $notices): string
    {
        $settings = Settings::load($this->root);
        return $this->alerts($notices)
            . '<div class="row"><div class="col-lg-7">' . $this->settingsPanel($settings) . '</div>'
            . '<div class="col-lg-5">' . $this->queuePanel($settings) . '</div></div>'
            . $this->refusedPanel($settings);
    }

    private function alerts(array $alerts): string
    {
        $html = '';
        foreach ($alerts as $alert) {
            $html .= '<div class="alert alert-' . $alert[0] . '" role="alert">' . self::escape($alert[1]) . '</div>';
        }
        return $html;
    }

    private function settingsPanel(Settings $settings): string
    {
        $key = $settings->apiKey === '' ? 'not set yet' : 'stored; leave empty to keep it';
        $body = $this->field('server_url', 'Server address', 'url', $settings->serverUrl, 'https://tocsin.example.com',
            'Where Tocsin runs.')
            . $this->field('api_key', 'API key', 'password', '', $key, 'Made by: tocsin key add whmcs --scope ingest')
            . $this->personalChoices($settings)
            . $this->patternField($settings)
            . $this->field('folder', 'Folder for the spool', 'text', $settings->folder, '',
                'Private, outside the web root. Events wait here until the server has taken them.')
            . $this->field('max_megabytes', 'Largest size (MB)', 'number', (string) round($settings->maxBytes / 1000000), '200',
                'When the server is away for so long that this is full, the oldest quiet events are dropped first, and counted.')
            . $this->field('flush_seconds', 'Send at most every (seconds)', 'number', (string) $settings->flushSeconds, '10',
                'After a page is delivered, where PHP-FPM or LiteSpeed allows it.')
            . $this->field('ca_file', 'Certificate authorities', 'text', $settings->caFile, '',
                'Only for a private authority: a PEM file. Verification cannot be turned off.');
        return $this->panel('Settings', $this->form('save', $body . '<button class="btn btn-primary">Save</button>'));
    }

    private function field(string $name, string $label, string $type, string $value, string $hint, string $help): string
    {
        return '<div class="form-group"><label for="tocsin-' . $name . '">' . self::escape($label) . '</label>'
            . '<input class="form-control" id="tocsin-' . $name . '" name="' . $name . '" type="' . $type . '" value="'
            . self::escape($value) . '" placeholder="' . self::escape($hint) . '" autocomplete="off">'
            . '<p class="help-block">' . self::escape($help) . '</p></div>';
    }

    private function personalChoices(Settings $settings): string
    {
        $html = '<div class="form-group"><label>Personal data</label><p class="help-block">Left in WHMCS unless ticked. '
            . 'Passwords, card data and codes never leave, whatever is ticked.</p>';
        foreach (self::PERSONAL_LABELS as $group => $label) {
            $checked = in_array($group, $settings->personal, true) ? ' checked' : '';
            $html .= '<div class="checkbox"><label><input type="checkbox" name="personal[]" value="' . $group . '"' . $checked
                . '> ' . self::escape($label) . '</label></div>';
        }
        return $html . '</div>';
    }

    private function patternField(Settings $settings): string
    {
        return '<div class="form-group"><label for="tocsin-log_patterns">Lines of the activity log that become events</label>'
            . '<textarea class="form-control" style="font-family: monospace" rows="8" id="tocsin-log_patterns" '
            . 'name="log_patterns" spellcheck="false">' . self::escape($settings->patternText()) . '</textarea>'
            . '<p class="help-block">One per line: name = /expression/flags. Only the name is sent, the line itself only with '
            . 'the texts ticked above.</p></div>';
    }

    private function queuePanel(Settings $settings): string
    {
        try {
            $queue = new Queue($settings);
        } catch (\Throwable $fault) {
            return $this->panel('Queue', $this->alerts([['danger', $fault->getMessage()]]));
        }
        $rows = '';
        foreach ($queue->facts() as $label => $value) {
            $rows .= '<tr><th scope="row">' . self::escape($label) . '</th><td style="word-break: break-word">'
                . self::escape($value) . '</td></tr>';
        }
        return $this->panel('Queue', $this->alerts($queue->findings())
            . '<table class="table table-condensed">' . $rows . '</table>'
            . $this->form('send', '<button class="btn btn-default">Send now</button>')
            . $this->form('test', '<button class="btn btn-default">Test the connection</button>'));
    }

    private function refusedPanel(Settings $settings): string
    {
        try {
            $refused = (new Queue($settings))->refused();
        } catch (\Throwable $fault) {
            return ''; // the queue panel says why
        }
        if ($refused === []) {
            return '';
        }
        $rows = '';
        foreach ($refused as $entry) {
            $errors = is_string($entry['errors']) ? $entry['errors'] : json_encode($entry['errors'], Event::JSON);
            $rows .= '<tr><td style="white-space: nowrap">' . self::escape($entry['at']) . '</td><td>' . self::escape($errors)
                . '</td><td><code style="word-break: break-all">' . self::escape($entry['event']) . '</code></td></tr>';
        }
        return $this->panel('Refused by the server', '<p>These events are kept in the folder and not sent again.</p>'
            . '<table class="table table-condensed"><thead><tr><th>When</th><th>Why</th><th>Event</th></tr></thead><tbody>'
            . $rows . '</tbody></table>');
    }

    private function panel(string $title, string $body): string
    {
        return '<div class="panel panel-default"><div class="panel-heading"><h3 class="panel-title">' . self::escape($title)
            . '</h3></div><div class="panel-body">' . $body . '</div></div>';
    }

    private function form(string $action, string $body): string
    {
        $token = function_exists('generate_token') ? generate_token('form') : '';
        $style = $action === 'save' ? '' : ' style="display: inline-block"';
        return '<form method="post" action="' . self::escape($this->link) . '"' . $style . '>' . $token
            . '<input type="hidden" name="tocsin_action" value="' . $action . '">' . $body . '</form> ';
    }

    private static function escape(string $text): string
    {
        return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
    }
}
