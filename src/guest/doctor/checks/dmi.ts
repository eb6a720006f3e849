/** Whether cloud-init's ds-identify can see that this is CloudStack: by the product's name. */

import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Check } from "../check.ts";

export const dmi: Check<"DMI_UNKNOWN"> = {
  name: "dmi",
  title: "the hardware says that it is CloudStack",
  kinds: {
    DMI_UNKNOWN: {
      title: "the product name is not CloudStack's, so cloud-init does not look for its service",
      severity: "warning",
      advice: "name the data source in cloud-init's configuration",
      where: "guest",
    },
  },
  judge({ productName, cloudInit }) {
    if (productName === undefined) return skipped("there is no DMI here");
    if (productName.startsWith("CloudStack")) return fine(productName);
    if (cloudInit === undefined) return fine(`${productName}; there is no cloud-init`);
    const others = (cloudInit.list ?? []).filter((name) => name !== "None");
    // With one entry ds-identify looks at nothing else.
    if (others.length === 1) return fine(`${productName}; the configuration names ${others[0]}`);
    if (cloudInit.source === "DataSourceCloudStack")
      return fine(`${productName}; found all the same`);
    const line = "datasource_list: [ CloudStack, None ]";
    return {
      seen: productName,
      found: [
        {
          code: "DMI_UNKNOWN",
          seen: `/sys/class/dmi/id/product_name is ${JSON.stringify(productName)}`,
          cause:
            "the hypervisor or the template sets another name; ds-identify goes by CloudStack*",
          certainty: cloudInit.source === undefined ? "likely" : "possible",
          remedy: [`echo '${line}' > /etc/cloud/cloud.cfg.d/99-cloudstack.cfg`],
        },
      ],
    };
  },
};
