<?php

/**
 * Loads a class of the bridge when it is first needed. Most page views fire no hook and load none but Hooks.
 *
 * A class that exists already (the single-file variant was loaded first) never gets here.
 */
spl_autoload_register(function ($class) {
    $prefix = 'Tocsin\\Bridge\\';
    if (strncmp($class, $prefix, strlen($prefix)) === 0) {
        $file = __DIR__ . '/' . substr($class, strlen($prefix)) . '.php';
        if (is_file($file)) {
            require $file;
        }
    }
});
