// Findings in the published contracts, a line each: `node contracts.mjs SCHEMAS`. AsyncAPI by its own parser, which follows
// every reference to a file; the schemas by Ajv in its strict mode, which refuses keywords that do nothing.
import { readFileSync, readdirSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Parser, fromFile } from '@asyncapi/parser'
import Ajv2020 from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

const root = resolve(process.argv[2])
const found = []

// -- schemas and examples
const files = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name)).sort()
const schemas = files.filter((file) => file.endsWith('.schema.json'))
const ajv = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true })
addFormats(ajv)
const address = (file) => pathToFileURL(file).href
for (const file of schemas) {
  try { ajv.addSchema({ ...JSON.parse(readFileSync(file)), $id: address(file) }) } catch (error) { found.push(`${relative(root, file)}: ${error.message}`) }
}
const compiled = (file) => {
  try { return ajv.getSchema(address(file)) } catch (error) { found.push(`${relative(root, file)}: ${error.message}`) }
}
for (const file of schemas) compiled(file)
if (found.length === 0) {
  for (const side of ['device', 'gateway']) {
    const fits = compiled(join(root, 'frames', `${side}.schema.json`))
    for (const kind of ['valid', 'invalid']) {
      for (const file of files.filter((one) => one.startsWith(join(root, 'examples', kind, side)))) {
        if (fits(JSON.parse(readFileSync(file))) !== (kind === 'valid')) found.push(`${relative(root, file)}: is said to be ${kind}, and is not`)
      }
    }
  }
}

const report = () => {
  console.log(found.join('\n'))
  process.exit(found.length > 0 ? 1 : 0)
}
if (found.length > 0) report() // the parser would only say the same in other words

// -- asyncapi.yaml
const { document, diagnostics } = await fromFile(new Parser(), join(root, 'asyncapi.yaml')).parse()
for (const one of diagnostics.filter((one) => one.severity <= 1)) found.push(`asyncapi.yaml: ${one.path.join('/')}: ${one.message}`)
if (document) {
  const spoken = document.channels().get('devices').messages().all()
  const named = new Set(spoken.map((message) => message.name()))
  for (const file of schemas.filter((one) => /frames\/(device|gateway)\//.test(one))) {
    const [side, name] = relative(join(root, 'frames'), file).replace('.schema.json', '').split('/')
    if (!named.has(name)) found.push(`asyncapi.yaml: no frame ${side}/${name}`)
  }
  for (const message of spoken) {
    const type = message.payload().json().properties?.type?.const
    if (type !== message.name()) found.push(`asyncapi.yaml: ${message.id()} is called ${message.name()}, and its payload is a ${type}`)
  }
}
report()
