<?php

/**
 * What WHMCS passes to each hook, made from the documented parameters, with recognisable secrets and personal data in
 * every place where the real thing has them.
 */

const SECRET = 'SECRETMARK';
const PERSONAL = 'PERSONALMARK';

/** Stands for a model: an id that can be read, secrets behind magic and private properties. */
final class StandInModel
{
    public $id = 4711;
    public $userid = 118;
    public $email = PERSONAL . '@example.test';
    private $password = SECRET . '-private';
    private $attributes = ['remember_token' => SECRET . '-magic', 'first_name' => PERSONAL];

    public function __get($name)
    {
        return $this->attributes[$name] ?? null;
    }

    public function __toString()
    {
        return SECRET . '-string';
    }

    public function toArray()
    {
        return ['password' => SECRET . '-array'];
    }
}

/** A model whose every property access fails, as with a lost database connection. */
final class ThrowingModel
{
    public function __get($name)
    {
        throw new Error("no property $name");
    }

    public function __isset($name)
    {
        throw new LogicException("no property $name");
    }

    public function __toString()
    {
        throw new RuntimeException('no text');
    }
}

/** Carbon is a DateTime with more in it. */
final class StandInCarbon extends DateTime
{
    public $note = SECRET . '-carbon';
}

function module_params()
{
    return [
        'serviceid' => '77', 'userid' => 118, 'serverid' => 3, 'domainid' => 55, 'moduletype' => 'cpanel', 'registrar' => 'enom',
        'sld' => 'example', 'tld' => 'com', 'domain' => 'example.com', 'username' => PERSONAL . 'user',
        'password' => SECRET . '-Pa,ss w&rd!', 'serverpassword' => SECRET . '-server', 'serveraccesshash' => SECRET . "\nhash",
        'eppcode' => SECRET . '-epp', 'transfersecret' => SECRET . '-transfer',
        'configoptions' => ['Root password' => SECRET . '-option'],
        'customfields' => ['Licence key' => SECRET . '-custom'],
        'clientsdetails' => ['firstname' => PERSONAL . 'first', 'lastname' => PERSONAL . 'last', 'email' => PERSONAL . '@example.test',
            'address1' => PERSONAL . ' street 1', 'phonenumber' => PERSONAL . '555'],
        'server' => true,
    ];
}

/** An error text that repeats what it should not, labelled and bare. */
function talkative_error()
{
    $params = module_params();
    return "Login failed for $params[username]: password=$params[password], the server said '$params[serverpassword]' and "
        . "https://root:" . SECRET . "-url@host.test/?token=" . SECRET . '-query; {"api_key": "' . SECRET . '-json"} '
        . "<password>" . SECRET . "-xml</password> Authorization: Bearer " . SECRET . '-bearer '
        . rawurlencode($params['password']) . ' ' . htmlspecialchars($params['password'])
        . ' client ' . $params['clientsdetails']['email'] . ' ' . $params['clientsdetails']['address1']
        . ' card 4111 1111 1111 1111 timed out after 30 s';
}

function raw_gateway_data()
{
    return "Array\n(\n    [invoiceid] => 5521\n    [card_number] => 4111111111111111\n    [cvv] => " . SECRET . "-cvv\n"
        . "    [customer_email] => " . PERSONAL . "@example.test\n)\n";
}

function documented_value($hook, $name, $type)
{
    $containers = [
        'params' => 'module_params',
        'failureResponseMessage' => 'talkative_error',
        'error' => 'talkative_error',
    ];
    if (isset($containers[$name])) {
        return $containers[$name]();
    }
    if (in_array($name, $hook['secret_params'] ?? [], true)) {
        return $name === 'data' ? raw_gateway_data() : ($type === 'array' ? ['eppcode' => SECRET . '-results'] : SECRET . "-$name");
    }
    if (in_array($name, $hook['personal_params'] ?? [], true) && $type === 'string') {
        return PERSONAL . "-$name";
    }
    switch ($name) {
        case 'olddata':
            return ['email' => PERSONAL . '-old@example.test', 'password' => SECRET . '-old', 'firstname' => PERSONAL . '-firstname'];
        case 'clientdetails':
        case 'customFields':
        case 'mergefields':
            return ['email' => PERSONAL . '@example.test', 'password' => SECRET . '-field'];
        case 'connectionErrors':
            return ['support@example.test' => SECRET . ' refused'];
        case 'functionSuccessful':
            return true;
        case 'result':
            return 'Declined: card 4111111111111111 token=' . SECRET . '-result';
        case 'isfraud':
            return $type === 'array' ? ['score' => SECRET] : true;
    }
    switch ($type) {
        case 'int':
        case 'unspecified':
            return (string) (1000 + strlen($name)); // WHMCS mostly passes numbers as text
        case 'float':
            return '24.50';
        case 'bool':
            return true;
        case 'array':
            return [1, '2', SECRET . '-entry', ['password' => SECRET]];
        case 'string[]':
            return ['.com', '.net'];
        case '\\datetime':
            return new StandInCarbon('2026-03-14 10:22:15.250', new DateTimeZone('Europe/Berlin'));
        case 'string':
            return $name;
        default:
            return new StandInModel();
    }
}

function documented_vars(array $hook)
{
    $vars = [];
    foreach ($hook['parameters'] as $name => $type) {
        $vars[$name] = documented_value($hook, $name, $type);
    }
    if ($hook['name'] === 'LogActivity') {
        $vars['description'] = 'Failed Admin Login Attempt by ' . PERSONAL . ' password=' . SECRET . '-log';
    }
    $vars['undocumented'] = SECRET . '-undocumented';
    return $vars;
}
