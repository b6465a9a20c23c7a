#!/usr/bin/env node
'use strict';
/*
 * Starts dist/emloc/emloc.mjs, bundling it first when it is missing or older than its sources; with
 * `serve`, the services too.
 */
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');

require('./runtime.cjs');

const servicesFolder = join(__dirname, '../../../services/');

async function start() {
  const { ensureBundled, listPrograms } = await import(
    pathToFileURL(join(__dirname, '../../setup/bundle.mjs')).href
  );
  const programs = listPrograms();
  const program = programs.find(({ name }) => name === 'emloc');
  const services =
    process.argv[2] === 'serve'
      ? programs.filter(({ entry }) => entry.startsWith(servicesFolder))
      : [];
  try {
    for (const needed of [program, ...services]) await ensureBundled(needed);
  } catch (error) {
    console.error(`emloc: the program could not be built: ${error.message}`);
    process.exitCode = 1;
    return;
  }
  await import(pathToFileURL(program.outFile).href);
}

void start();
