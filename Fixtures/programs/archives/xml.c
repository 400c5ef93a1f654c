// libxml2 from its archive, over ICU, lzma and zlib: parsing, XPath, a schema, errors, other encodings.
// run:
// flags: -I/usr/include/libxml2
// archives: libxml2.a libicui18n.a libicuuc.a libicudata.a liblzma.a libz.a
// libraries: -lm
// link: -lstdc++ -pthread -ldl
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/relaxng.h>
#include <libxml/xmlwriter.h>
#include <stdio.h>
#include <string.h>

static void complain(void *context, const char *format, ...) { (void)context; (void)format; }
int main(void) {
  LIBXML_TEST_VERSION
  const char *text = "<?xml version='1.0'?><!DOCTYPE r [<!ENTITY e 'expanded'>]><r xmlns:n='urn:n'>"
    "<item id='1'>one</item><item id='2'>two &e;</item><n:item id='3'><![CDATA[<three>]]></n:item></r>";
  xmlDoc *document = xmlReadMemory(text, strlen(text), "text.xml", NULL, XML_PARSE_NOENT);
  if (!document) return 1;
  xmlXPathContext *context = xmlXPathNewContext(document);
  xmlXPathRegisterNs(context, BAD_CAST "n", BAD_CAST "urn:n");
  const char *paths[] = {"//item", "//n:item/text()", "//item[@id > 1]", "/r/*[last()]/@id"};
  for (int i = 0; i < 4; i++) {
    xmlXPathObject *found = xmlXPathEvalExpression(BAD_CAST paths[i], context);
    for (int n = 0; n < found->nodesetval->nodeNr; n++) {
      xmlChar *content = xmlNodeGetContent(found->nodesetval->nodeTab[n]);
      printf("%s: %s\n", paths[i], content);
      xmlFree(content);
    }
    xmlXPathFreeObject(found);
  }
  xmlXPathObject *sum = xmlXPathEvalExpression(BAD_CAST "sum(//@id) * 1.5", context);
  printf("%g\n", sum->floatval);
  xmlXPathFreeObject(sum);
  xmlXPathFreeContext(context);
  xmlChar *dump;
  int size;
  xmlDocDumpFormatMemoryEnc(document, &dump, &size, "ISO-8859-1", 1);
  printf("%d\n%s", size, dump);
  xmlFree(dump);
  xmlFreeDoc(document);

  const char *latin = "<?xml version='1.0' encoding='Shift_JIS'?><a>\x83\x65\x83\x58\x83\x67</a>";
  document = xmlReadMemory(latin, strlen(latin), "latin.xml", NULL, 0);
  if (document) {
    xmlChar *content = xmlNodeGetContent(xmlDocGetRootElement(document));
    printf("%s\n", content);
    xmlFree(content);
    xmlFreeDoc(document);
  }
  xmlSetGenericErrorFunc(NULL, complain);
  document = xmlReadMemory("<a><b></a>", 10, "broken.xml", NULL, 0);
  const xmlError *error = xmlGetLastError();
  printf("%d %d %s", document != NULL, error->code, error->message);
  const char *grammar = "<element name='r' xmlns='http://relaxng.org/ns/structure/1.0'><oneOrMore><element name='i'><text/></element></oneOrMore></element>";
  xmlRelaxNGParserCtxt *parser = xmlRelaxNGNewMemParserCtxt(grammar, strlen(grammar));
  xmlRelaxNG *schema = xmlRelaxNGParse(parser);
  for (int i = 0; i < 2; i++) {
    document = xmlReadDoc(BAD_CAST(i ? "<r/>" : "<r><i>1</i><i/></r>"), NULL, NULL, 0);
    xmlRelaxNGValidCtxt *valid = xmlRelaxNGNewValidCtxt(schema);
    xmlRelaxNGSetValidErrors(valid, complain, complain, NULL);
    printf("%d\n", xmlRelaxNGValidateDoc(valid, document));
    xmlRelaxNGFreeValidCtxt(valid);
    xmlFreeDoc(document);
  }
  xmlRelaxNGFree(schema);
  xmlRelaxNGFreeParserCtxt(parser);
  xmlCleanupParser();
  return 0;
}
