/* org.varlink.service: what every Varlink service tells about itself. */
#include <string.h>

#include "daemon/keeper/varlink/varlink_call_internal.h"

#define SERVICE_INTERFACE "org.varlink.service"

static const char service_description[] =
		"# What every Varlink service tells about itself.\n"
		"interface org.varlink.service\n"
		"\n"
		"method GetInfo() -> (\n"
		"  vendor: string,\n"
		"  product: string,\n"
		"  version: string,\n"
		"  url: string,\n"
		"  interfaces: []string\n"
		")\n"
		"\n"
		"method GetInterfaceDescription(interface: string) -> (description: string)\n"
		"\n"
		"error InterfaceNotFound (interface: string)\n"
		"error MethodNotFound (method: string)\n"
		"error MethodNotImplemented (method: string)\n"
		"error InvalidParameter (parameter: string)\n"
		"error PermissionDenied ()\n"
		"error ExpectedMore ()\n";

static void introspect_info(struct varlink_call *call, const struct varlink_service *service)
{
	varlink_call_reply(call,
			json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor", service->vendor,
					"product", service->product, "version", service->version,
					"url", service->url, "interfaces", SERVICE_INTERFACE,
					service->interface),
			NULL);
}

static void introspect_not_found(struct varlink_call *call, const char *interface)
{
	varlink_call_error(call, SERVICE_INTERFACE ".InterfaceNotFound",
			json_pack("{s:s}", "interface", interface));
}

static void introspect_description(struct varlink_call *call, const struct varlink_service *service)
{
	const char *interface = json_string_value(json_object_get(call->parameters, "interface"));
	const char *description = NULL;

	if (!interface) {
		varlink_call_invalid_parameter(call, "interface");
		return;
	}
	if (strcmp(interface, SERVICE_INTERFACE) == 0)
		description = service_description;
	else if (strcmp(interface, service->interface) == 0)
		description = service->description;
	if (description)
		varlink_call_reply(call, json_pack("{s:s}", "description", description), NULL);
	else
		introspect_not_found(call, interface);
}

void varlink_call_introspect(struct varlink_call *call, const struct varlink_service *service)
{
	if (strcmp(call->interface, SERVICE_INTERFACE) != 0)
		introspect_not_found(call, call->interface);
	else if (strcmp(call->method, "GetInfo") == 0)
		introspect_info(call, service);
	else if (strcmp(call->method, "GetInterfaceDescription") == 0)
		introspect_description(call, service);
	else
		varlink_call_method_not_found(call);
}
