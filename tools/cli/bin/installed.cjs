#!/usr/bin/env node
'use strict';
/* Starts the program of the package that npm has installed. */
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');

require('./runtime.cjs');

void import(pathToFileURL(join(__dirname, '../dist/emloc/emloc.mjs')).href);
