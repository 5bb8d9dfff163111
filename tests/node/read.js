// Reads a JSON list of YAML texts from stdin and prints a JSON list of what each of them says: {"value": ...} or {"error": "..."}.
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

const texts = JSON.parse(readFileSync(0, 'utf8'));
const answers = texts.map((text) => {
  try {
    return { value: parse(text, { version: '1.2', schema: 'core', maxAliasCount: -1 }) };
  } catch (error) {
    return { error: String(error.message).split('\n')[0] };
  }
});
process.stdout.write(JSON.stringify(answers));
